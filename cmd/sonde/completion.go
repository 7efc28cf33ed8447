package main

import (
	"context"
	"fmt"
	"strings"
)

// shells are those that completion is written for.
var shells = []string{"bash", "zsh", "fish"}

func newCompletionCommand(p *program) *command {
	return &command{
		name:    "completion",
		summary: "print the completion script for a shell",
		usage:   "bash|zsh|fish",
		about: []string{
			"The script knows all commands, flags, probes and formats, and runs nothing when it completes.",
		},
		examples: []example{
			{"source <(sonde completion bash)", "for this shell; for all, put the line into ~/.bashrc"},
			{"sonde completion zsh > \"${fpath[1]}/_sonde\"", "for all shells to come"},
			{"sonde completion fish > ~/.config/fish/completions/sonde.fish", "the same"},
		},
		words: shells,
		run: func(_ context.Context, args []string) error {
			if len(args) != 1 {
				return &usageError{"sonde completion wants the name of a shell: " + orList(shells), ""}
			}
			write := map[string]func() string{"bash": p.bashCompletion, "zsh": p.zshCompletion, "fish": p.fishCompletion}[args[0]]
			if write == nil {
				return &usageError{fmt.Sprintf("no completion for %s: want %s", quoteWord(args[0]), orList(shells)), didYouMean(nearest(args[0], shells))}
			}
			return p.print(write())
		},
	}
}

// listedFlags are the flags of c that help lists.
func (p *program) listedFlags(c *command) []flagSpec {
	var list []flagSpec
	for _, f := range p.allFlags(c) {
		if f.listed() {
			list = append(list, f)
		}
	}
	return list
}

// bashCompletion completes the last part of a list after its comma, and the value of --flag=value: bash takes "=" for a word
// of its own (COMP_WORDBREAKS).
func (p *program) bashCompletion() string {
	var b strings.Builder
	b.WriteString(`# bash completion for sonde; load it with: source <(sonde completion bash)
_sonde_words() { # the words that begin with cur; in a list, with what stands behind its last comma
	local head=
	case $cur in *,*) head=${cur%,*}, ;; esac
	local IFS=$' \t\n'
	COMPREPLY=($(compgen -P "$head" -W "$1" -- "${cur##*,}"))
}

_sonde_files() {
	compopt -o filenames 2>/dev/null
	local IFS=$'\n'
	COMPREPLY=($(compgen -f -- "$cur"))
}

_sonde() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i
	COMPREPLY=()
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then
			command+=" ${COMP_WORDS[i]}"
			case $command in `)
	// A group's name is followed by a command's.
	fmt.Fprintf(&b, "%s) ;; *) break ;; esac\n\t\tfi\n\tdone\n\tcase $command in\n", strings.Join(bashGroups(p.commands), " | "))
	for _, c := range everyCommand(p.commands) {
		p.bashCommand(&b, c)
	}
	fmt.Fprintf(&b, "\t'') _sonde_words '%s help --help --version' ;;\n\tesac\n}\n\ncomplete -F _sonde sonde\n", namesOf(p.commands))
	return b.String()
}

// namesOf are the names of those of commands that help lists, with spaces between them.
func namesOf(commands []*command) string {
	var names []string
	for _, c := range listed(commands) {
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
}

// bashPattern is the command as the function _sonde gathers it: " bench hold", quoted.
func bashPattern(c *command) string { return "'" + strings.TrimPrefix(c.path(), "sonde") + "'" }

func bashGroups(commands []*command) []string {
	var patterns []string
	for _, c := range everyCommand(commands) {
		if len(c.subs) > 0 {
			patterns = append(patterns, bashPattern(c))
		}
	}
	return patterns
}

func (p *program) bashCommand(b *strings.Builder, c *command) {
	fmt.Fprintf(b, "\t%s)\n\t\tcase $prev in\n", bashPattern(c))
	var all []string
	for _, f := range p.listedFlags(c) {
		all = append(all, "--"+f.name)
		if f.isSwitch() {
			continue
		}
		names := "--" + f.name
		if f.short != "" {
			names = "-" + f.short + " | " + names
		}
		switch {
		case f.files:
			fmt.Fprintf(b, "\t\t%s) _sonde_files; return ;;\n", names)
		case len(f.words) > 0:
			fmt.Fprintf(b, "\t\t%s) _sonde_words '%s'; return ;;\n", names, strings.Join(f.words, " "))
		default:
			fmt.Fprintf(b, "\t\t%s) return ;;\n", names)
		}
	}
	b.WriteString("\t\tesac\n")
	arguments := ":"
	switch {
	case len(c.subs) > 0:
		arguments = "_sonde_words '" + namesOf(c.subs) + "'"
	case len(c.words) > 0:
		arguments = "_sonde_words '" + strings.Join(c.words, " ") + "'"
	case c.files:
		arguments = "_sonde_files"
	}
	fmt.Fprintf(b, "\t\tif [[ $cur == -* ]]; then _sonde_words '%s'; else %s; fi ;;\n", strings.Join(all, " "), arguments)
}

// zshCompletion uses _arguments (zshcompsys(1)): a function for each group of commands, the program's own the last.
func (p *program) zshCompletion() string {
	var b strings.Builder
	b.WriteString("#compdef sonde\n\n")
	p.zshGroup(&b, "_sonde", p.commands)
	b.WriteString("if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n\t_sonde \"$@\"\nelse\n\tcompdef _sonde sonde\nfi\n")
	return b.String()
}

// zshGroup writes the function that completes one of commands and what follows it, behind those of the groups among them.
func (p *program) zshGroup(b *strings.Builder, function string, commands []*command) {
	for _, c := range listed(commands) {
		if len(c.subs) > 0 {
			p.zshGroup(b, function+"_"+c.name, c.subs)
		}
	}
	fmt.Fprintf(b, "%s() {\n\tlocal line state\n\t_arguments -C '1: :->command' '*:: :->arguments' && return\n\tcase $state in\n\tcommand)\n\t\tlocal -a commands=(\n", function)
	for _, c := range listed(commands) {
		fmt.Fprintf(b, "\t\t\t%s\n", zshQuote(c.name+":"+c.summary))
	}
	b.WriteString("\t\t)\n\t\t_describe command commands ;;\n\targuments)\n\t\tcase $line[1] in\n")
	for _, c := range listed(commands) {
		if len(c.subs) > 0 {
			fmt.Fprintf(b, "\t\t%s) %s_%s ;;\n", c.name, function, c.name)
			continue
		}
		p.zshCommand(b, c)
	}
	b.WriteString("\t\tesac ;;\n\tesac\n}\n\n")
}

func (p *program) zshCommand(b *strings.Builder, c *command) {
	fmt.Fprintf(b, "\t\t%s)\n\t\t\t_arguments -s -S", c.name)
	for _, f := range p.listedFlags(c) {
		fmt.Fprintf(b, " \\\n\t\t\t\t%s", zshFlag(&f))
	}
	switch {
	case len(c.words) > 0:
		fmt.Fprintf(b, " \\\n\t\t\t\t%s", zshQuote("*:word:("+strings.Join(c.words, " ")+")"))
	case c.files:
		fmt.Fprintf(b, " \\\n\t\t\t\t%s", zshQuote("*:target:_files"))
	}
	b.WriteString(" ;;\n")
}

// zshFlag is a flag as an optspec of _arguments.
func zshFlag(f *flagSpec) string {
	text := "[" + zshEscape(f.help) + "]"
	equals := ""
	if !f.isSwitch() {
		text += ":" + zshEscape(strings.ToLower(strings.Trim(f.arg, "'"))) + ":"
		equals = "="
		switch {
		case f.files:
			text += "_files"
		case len(f.words) > 0 && f.many:
			text += "_sequence compadd - " + strings.Join(f.words, " ")
		case len(f.words) > 0:
			text += "(" + strings.Join(f.words, " ") + ")"
		}
	}
	many := ""
	if f.many {
		many = "*"
	}
	if f.short == "" {
		return zshQuote(many + "--" + f.name + equals + text)
	}
	short := zshQuote(text)
	if many != "" {
		return fmt.Sprintf("'*'{-%s+,--%s%s}%s", f.short, f.name, equals, short)
	}
	plus := ""
	if !f.isSwitch() {
		plus = "+"
	}
	return fmt.Sprintf("'(-%s --%s)'{-%s%s,--%s%s}%s", f.short, f.name, f.short, plus, f.name, equals, short)
}

// zshEscape keeps text from ending the part of an optspec that it stands in.
func zshEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`, "`", "'").Replace(text)
}

func zshQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// fishCompletion is a complete(1) line for each flag.
func (p *program) fishCompletion() string {
	var b strings.Builder
	none := "not __fish_seen_subcommand_from " + namesOf(p.commands)
	b.WriteString("# fish completion for sonde\ncomplete -c sonde -f\n")
	fmt.Fprintf(&b, "complete -c sonde -n '%s' -l help -s h -d 'print help'\ncomplete -c sonde -n '%s' -l version -d 'print the version'\n", none, none)
	for _, c := range everyCommand(p.commands) {
		among, condition := p.commands, ""
		if c.parent != nil {
			among, condition = c.parent.subs, fishSeen(c.parent)+"; and "
		}
		condition += "not __fish_seen_subcommand_from " + namesOf(among)
		fmt.Fprintf(&b, "complete -c sonde -n '%s' -a %s -d %s\n", condition, c.name, fishQuote(c.summary))
	}
	for _, c := range everyCommand(p.commands) {
		seen := fishSeen(c)
		switch {
		case len(c.subs) > 0:
			continue
		case len(c.words) > 0:
			fmt.Fprintf(&b, "complete -c sonde -n '%s' -a '%s'\n", seen, strings.Join(c.words, " "))
		case c.files:
			fmt.Fprintf(&b, "complete -c sonde -n '%s' -F\n", seen)
		}
		for _, f := range p.listedFlags(c) {
			fmt.Fprintf(&b, "complete -c sonde -n '%s' -l %s%s -d %s\n", seen, f.name, fishValue(&f), fishQuote(f.help))
		}
	}
	return b.String()
}

// fishSeen is the condition that the line names c.
func fishSeen(c *command) string {
	seen := "__fish_seen_subcommand_from " + c.name
	if c.parent != nil {
		seen = fishSeen(c.parent) + "; and " + seen
	}
	return seen
}

// fishValue is what complete is told of a flag besides its name and text.
func fishValue(f *flagSpec) string {
	var options string
	if f.short != "" {
		options = " -s " + f.short
	}
	switch {
	case f.isSwitch():
		return options
	case f.files:
		return options + " -r -F"
	case len(f.words) > 0 && f.many:
		return options + " -x -a '(__fish_append , " + strings.Join(f.words, " ") + ")'"
	case len(f.words) > 0:
		return options + " -x -a '" + strings.Join(f.words, " ") + "'"
	}
	return options + " -x"
}

func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
