"""The smallest network of every architecture of ours, for tests that run over all of them."""

TINY = {
    "bsrn": "bsrn(scale=4, blocks=2, channels=8, attention=4)",
    "carn": "carn(scale=3, channels=8, groups=2)",
    "drln": "drln(scale=2, channels=16)",
    "edsr": "edsr(scale=2, blocks=2, channels=6)",
    "fmen": "fmen(scale=4, channels=8, squeezed=[4, 6], depths=[2, 1])",
    "fsrcnn": "fsrcnn(scale=3, channels=8, shrunk=4, layers=2)",
    "imdn": "imdn(scale=2, blocks=2, channels=16)",
    "msrresnet": "msrresnet(scale=4, blocks=2, channels=8)",
    "pan": "pan(scale=4, blocks=2, channels=8, up_channels=6)",
    "quicksrnet": "quicksrnet(scale=4, layers=2, channels=8, copies=4)",
    "rfdn": "rfdn(scale=4, blocks=2, channels=8)",
    "rlfn": "rlfn(scale=4, blocks=2, channels=8, mid_channels=10, attention=4)",
    "rnet": "rnet(scale=4, blocks=2, channels=8)",
    "smfanet": "smfanet(scale=2, blocks=2, channels=8)",
    "span": "span(scale=4, blocks=3, channels=8, joined=6)",
    "srresnet": "srresnet(scale=4, blocks=2, channels=8)",
    "vdsr": "vdsr(scale=2, layers=2, channels=8)",
}
