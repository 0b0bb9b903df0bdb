"""CZ4042's comparison of networks, MobileNetV2 from ImageNet, frozen, FC 1024-512-256: its baseline.

Reported: test loss 0.5182, accuracy 0.8827, 49 min 1 s. "2,264,640 parameters" are those that do not train under FC
1024-512-512; this table's 1024-512-256 has 2,264,128: the report contradicts itself.
Run: make train MODEL=cz4042/mobilenetv2 DATA_ROOT=adience
"""

from pipeline.experiments.cz4042._base import compared, head, mobilenetv2

EXPERIMENT = compared(mobilenetv2(head(1024, 512, 256)), train="head")
