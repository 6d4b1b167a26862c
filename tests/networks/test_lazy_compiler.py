from __future__ import annotations

import subprocess
import sys

#: Runs in a fresh process: this one has imported the compiler.
SCRIPT = """
import sys
import triovision.networks
import torch, torchvision
assert "torch._dynamo" not in sys.modules
assert "torch._dynamo.utils" not in sys.modules
real = torch.compiler.disable
assert real.__module__ == "torch.compiler"
{body}
"""


def run(body: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(body=body)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_networks_are_built_and_run_without_the_compiler() -> None:
    run(
        "network = triovision.networks.build_classifier('test_efficientnet', 3).eval()\n"
        "assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )


def test_the_compiler_is_imported_when_it_is_needed() -> None:
    run(
        "roi_align = sys.modules['torchvision.ops.roi_align']\n"
        "supported = roi_align.is_compile_supported('cpu')\n"
        "assert 'torch._dynamo' in sys.modules\n"
        "from torch._dynamo.utils import is_compile_supported\n"
        "assert supported == is_compile_supported('cpu')"
    )


def test_a_marked_function_is_skipped_by_the_compiler_when_it_is_called() -> None:
    run(
        "from triovision.networks.lazy_compiler import compiler_on_demand\n"
        "with compiler_on_demand():\n"
        "    @torch.compiler.disable\n"
        "    def plain(x): return x + (0 if torch.compiler.is_compiling() else 1)\n"
        "    @torch.compiler.disable(recursive=False, reason='a test')\n"
        "    def with_arguments(x, *, y): return x * y\n"
        "assert torch.compiler.disable is real\n"
        "assert 'torch._dynamo' not in sys.modules\n"
        "assert (plain(1), with_arguments(2, y=3), plain.__name__) == (2, 6, 'plain')\n"
        "assert 'torch._dynamo' in sys.modules\n"
        "compiled = torch.compile(lambda x: plain(x) * 2, backend='eager')\n"
        "assert compiled(torch.ones(1)).item() == 4"
    )


def test_another_name_of_the_stand_in_comes_from_the_real_module() -> None:
    run(
        "from triovision.networks.lazy_compiler import compiler_on_demand\n"
        "with compiler_on_demand():\n"
        "    from torch._dynamo.utils import counters\n"
        "import torch._dynamo.utils\n"
        "assert counters is torch._dynamo.utils.counters"
    )


def test_training_still_gets_the_whole_of_torchvision() -> None:
    run("from torchvision.transforms import v2\nassert v2.Resize(8)(torch.zeros(3, 16, 16)).shape == (3, 8, 8)")
