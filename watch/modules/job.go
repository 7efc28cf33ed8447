package modules

import (
	"fmt"

	"sonde/watch/config"
)

// CheckJob says what keeps a job from being run by its modules, which are all of its file's by their names: what shows only once they
// are compiled. An error names the job, its line and the module.
func CheckJob(j *config.Job, all map[string]*Module) error {
	m := all[j.Module]
	fail := func(text string) error { return fmt.Errorf("line %d: job %q: %s", j.Line, j.Name, text) }
	switch {
	case m == nil:
		return fail(fmt.Sprintf("there is no module %q", j.Module))
	case m.Disabled != "":
		return fail(fmt.Sprintf("the module %q can't be run: %s", m.Name, m.Disabled))
	case j.Mode == config.Keep && m.CantKeep != "":
		return fail(fmt.Sprintf("mode: keep: the module %q keeps no connection: %s", m.Name, m.CantKeep))
	}
	if other := all[m.Fallback]; m.Fallback != "" && (other == nil || other.Disabled != "") {
		return fail(fmt.Sprintf("the module %q has a fallback %q that can't be run", m.Name, m.Fallback))
	}
	return nil
}
