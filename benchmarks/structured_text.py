"""The words of docs/structured.md."""

TEXT = """\
# Structured methods at equal cost

{cells} cells of `benchmarks/structured.py`, the small preset: the bundled EDSR x2 (8 blocks, 48 channels),
trained further on T91 and measured on Set5, Set14 and, from half of the channels gone, BSD100 (Y, border 2). Every cell
has {steps} training steps in all (batch 4, patches of 24, Adam, 5e-4). Methods that learn spend {learned} of them with
their penalty, GASSL 100 more on its selection; `guided` spends 100 between its two rounds. Polishing counts as steps,
too: 120 after `calibrated`, 60 after `guided`. All other steps are recovery: L1 on the images with a cosine schedule,
the same for all. A step of polishing sees eight times as many pixels as one of training, and the dense network runs
beside it; it is also the teacher of `guided` between its rounds. The budget of a column is the MACs of the network
whose every layer lost that share of its channels.
Written by `python benchmarks/structured.py small --tables`; espalier {environment[espalier]}, torch
{environment[torch]}, one thread of a machine shared with others, so no times are given.

## PSNR after {steps} steps, dB

Seed 0. The dense network has {dense}; bicubic has 33.67 on Set5.

{psnr}

### Several seeds

Set5: mean, lowest, highest and number of seeds, where there is more than one.

{spread}

## Leads

Differences on Set5, over the seeds that both have; in brackets those published for EDSR-baseline x2.

{leads}

## Before recovery

Set5, seed 0: what the method itself leaves; for those that learn, after their {learned} steps.

{pruned}

## GASSL's selection

PSNR on Set5 after {steps} steps, seed 0, when the shares of the layers are selected in different ways. *Travel* is how
far Adam can move a scale: steps times learning rate. Published: 10,000 steps at 2e-4, a travel of 2.

{selection}

## Removal

PSNR on the first three images of Set5, just before and just after the channels that were pressed to nothing are
cut away, without recovery.

{removal}

{analysis}
"""

ANALYSIS = """\
"""
