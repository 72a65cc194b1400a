"""Jobs that run on workers on other machines, through Redis or Valkey; knows nothing of images."""
