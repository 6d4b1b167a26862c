"""Study: which relation holds between two things in a picture?"""
