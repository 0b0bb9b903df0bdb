"""What every package needs: errors, files that are complete or not there, locks, interrupts, progress, metrics."""
