"""Lightning callbacks of a training run, one concern a file; conf/callbacks/ chooses and configures them."""
