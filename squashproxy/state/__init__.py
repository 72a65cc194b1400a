"""State that is kept between runs: manifests by digest, earlier tags, promotions, run history."""
