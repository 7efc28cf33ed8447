package main

// overview is `sonde --help`.
func (p *program) overview() string { return "" }

// helpOf is `sonde COMMAND --help`.
func (p *program) helpOf(c *command) string { return "" }
