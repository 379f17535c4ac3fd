"""The commands, a module per subject. What only one command needs is imported when it runs: --help stays quick."""
