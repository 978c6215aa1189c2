"""From folders on disk to an index of images and pixels as an encoder expects them."""
