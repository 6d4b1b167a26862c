"""Binary image classifiers and a DCGAN."""
