"""Short programs that measure the machine that they run on, one module for each library that runs them."""
