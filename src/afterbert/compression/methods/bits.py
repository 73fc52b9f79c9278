"""Weights alone in eight or four bits, each block of neighbours with a scale of its own; sums are taken in float32.

Source: the group-wise weights of Q-BERT (1909.05840), Section 3.2, without its choice of bits by layer; as ONNX
Runtime's MatMulNBits and GatherBlockQuantized compute them.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from afterbert.compression.methods import Method, Setting
from afterbert.compression.parts.graphs import check_graph, graph_of, quantize_file
from afterbert.compression.subject import Form, Subject
from afterbert.interop.onnx import quiet


@dataclass(frozen=True)
class Bits(Method):
    """Stores only the weights in 8 or 4 bits."""

    saves = frozenset(("bytes",))
    at_zero = "bits=32"

    bits: Literal[4, 8, 32] = 8
    """Of each weight; 32 is the fused graph as it is."""
    block: Literal[16, 32, 64, 128] = 32
    """Neighbours that share a scale."""
    table: bool = True
    """Whether the table of pieces is stored so too."""

    def check(self, form: Form) -> Form:
        return check_graph(form, "bits")

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        subject = subject.only(setting.task)
        whole = graph_of(subject)
        if self.bits == 32:
            return subject.finished(whole)
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

        # GatherBlockQuantized has four bits alone; a table of eight is `quantize`'s
        kinds = ("MatMul", "Gather") if self.table and self.bits == 4 else ("MatMul",)
        how = DefaultWeightOnlyQuantConfig(
            block_size=self.block,
            is_symmetric=True,
            bits=self.bits,
            op_types_to_quantize=kinds,
            quant_axes=(("MatMul", 0), ("Gather", 1)),
        )
        with quiet():
            quantizer: Any = MatMulNBitsQuantizer(onnx.load_from_string(whole.content), bits=self.bits, algo_config=how)
            quantizer.process()
        content = quantizer.model.model.SerializeToString()
        if self.table and self.bits == 8:
            source, out = (setting.folder / f"{name}.onnx" for name in ("products", "all"))
            source.write_bytes(content)
            quantize_file(source, out, kinds=("Gather",))
            content = out.read_bytes()
        return subject.finished(replace(whole, content=content))
