"""The words of docs/structured.md."""

TEXT = """\
# Structured methods at equal cost

{cells} cells of `benchmarks/structured.py`, the small preset: the bundled EDSR x2 (8 blocks, 48 channels),
trained further on T91 and measured on Set5, Set14 and, from half of the channels gone, BSD100 (Y, border 2). Every cell
has {steps} training steps in all (batch 4, patches of 24, Adam, 5e-4). Methods that learn spend {learned} of them with
their penalty, GASSL 100 more on its selection; `guided` spends 100 between its two rounds. Polishing counts as steps,
too: 120 after `calibrated`, 60 after `guided`. All other steps are recovery: L1 on the images with a cosine schedule,
the same for all. Such a step of polishing sees eight patches of 48 x 48 (at once when this was measured, since then one
after another, which goes further), eight times as many pixels as one of training, and the dense network runs beside
it; it is also the teacher of `guided` between its rounds. The budget of a column is the MACs of the network
whose every layer lost that share of its channels.
Written by `python benchmarks/structured.py small --tables`; espalier {environment[espalier]}, torch
{environment[torch]}, one thread of a machine shared with others, so no times are given.

## PSNR after {steps} steps, dB

Seed 0. The dense network has {dense}; bicubic has 33.67 on Set5.

{psnr}
{spread}
## Leads

Differences on Set5, over the seeds that both have; in brackets those published for EDSR-baseline x2.

{leads}

## Before recovery

Set5, seed 0: what the method itself leaves; for those that learn, after their {learned} steps (GASSL 400).

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

SPREAD = """
### Several seeds

Set5: mean, lowest, highest and number of seeds, where there is more than one.

{table}
"""

ANALYSIS = """\
## Reading

These are hundreds of steps, where the published tables are of hundreds of thousands; they tell how fast each method
gives a usable network, not where it ends. The full preset (EDSR-baseline x2, 100,000 steps a cell) needs a GPU and
has not been run. Three seeds of one method lie 0.02 to 0.2 dB apart, at 0.9 as much as 0.65 dB (ASSL) and 4 dB
(scratch): differences below 0.05 dB tell nothing.

- **The published order holds where most goes.** At 0.9 GASSL is above ASSL, and ASSL above L1 and scratch, on all
  three sets. At 0.7 GASSL and ASSL are level, both above L1 and scratch; at 0.5 and 0.3 GASSL is 0.2 and 0.1 dB
  behind. ASSL leads L1 by far more than published at 0.7 and 0.9, because L1 has to mend in a few hundred steps what
  a growing penalty never breaks; at 0.9 L1 is even below scratch. At 0.5 its lead is the published one; where less
  goes, recovery mends all, and L1 is as good or better.
- **SRP is level with ASSL or above it here.** A tenth of ASSL's learning steps go into an alignment for which its
  scales move too slowly in so few steps; whether that is all of it was not tried.
- **GASSL needs its selection to settle.** At first all its scales fall at Adam's pace; only later do those that
  matter come to rest or rise again. Cut short, the selection ranks scales by where they began, and starves the
  residual trunk (2 of 48 channels at 0.9, after 100 steps with a travel of 0.5) or the upsampler (1 of 48, after 50
  steps), through which everything must pass. With 100 steps and the published travel all blocks but the last keep one
  channel, the trunk 5 and the upsampler 9, much as by calibrated damage (7 and 6). The short schedule now travels as
  far as published by default. A selection whose steps are taken from pressing still leaves GASSL behind ASSL at 0.7;
  here it takes them from recovery. At 0.5 and 0.3 one ranking under one strong penalty spares the upsampler (47 of 48
  channels at 0.5) at the blocks' expense.
- **`calibrated` is above every learning method** at every share, by far where much goes: damage is measured in the
  image, linear groups are turned so that few channels carry them, and what remains is solved by least squares instead
  of being found by Adam.
- **Learned sparsity adds next to nothing to that here.** `guided`, polished, is `calibrated` in two rounds with 100
  steps of SOAP under a growing penalty between them. It is 0.8 dB above GASSL at 0.7 and 1.8 dB at 0.9, but against
  polished `calibrated` the best at 0.7 by 0.02 dB on Set5 and 0.04 on Set14, and behind at 0.9 by 0.07 and 0.02.
  Over three seeds it is 0.01, 0.04 and 0.05 dB above `calibrated` at 0.5, 0.7 and 0.9: above all others in the mean
  at each, by no more than the seeds differ. With 60 steps between the rounds and 120 of polishing it gave {guided} dB
  at 0.9. On the networks of [the thesis' table](thesis.md) it gains more.
- **Polishing is worth most where little training follows.** It lifts what `calibrated` leaves by 0.3 dB at 0.7 and
  0.5 dB at 0.9; hundreds of steps of recovery end at nearly the same place with and without it.
- **Removal costs next to nothing** once the network has settled, on RNet x4 too (ASSL 0.006 dB, GASSL 0.002 dB): the
  published promise holds for a short schedule. The largest losses are at 0.9 (SRP 0.37 dB, ASSL 0.08 dB), where the
  few channels that are left still lean on what is going. RNet lost much quality on the way: 150 steps, none of
  recovery, do not mend a network of which a quarter of the MACs is left.
- **How the table came about.** The short schedule was changed after earlier runs had been looked at, on Set5 too:
  weights shrink by e^-5 instead of e^-7, no gradient moves them at the ceiling, and GASSL's selection as the table
  above shows. The cells with Set5 alone are of an earlier run; those that were run again with the final code came out
  the same (ASSL at 0.3, 0.5 and 0.9, SRP and `calibrated` at 0.7, for example). Seeds 1 and 2 were run last, on
  another machine.
"""
