"""From files on disk to batches: the manifest, its splits, the one decoder, the crop, augmentation, the loader."""
