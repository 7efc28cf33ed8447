package runner

import (
	"fmt"
	"time"

	"sonde/engine"
)

// manner is how connections of a kind are treated: what an engine's profile says beside who speaks.
type manner struct {
	limits    engine.Limits
	heartbeat time.Duration // of a kept connection; 0: it has none
	kept      bool
}

// maxProfiles is how many manners the engine is told of at once. There are as many as there are modules, and one for each time
// limit that scrapes come with.
const maxProfiles = 512

// profiles tells the engine of manners as they are needed, and has it forget those that nothing is treated by.
type profiles struct {
	engine  *engine.Engine
	flights *flights
	indexes map[manner]uint16
	users   []int
	manners []manner
}

func newProfiles(e *engine.Engine, f *flights) *profiles {
	return &profiles{engine: e, flights: f, indexes: make(map[manner]uint16)}
}

// take returns the profile of a manner, for one flight until release.
func (p *profiles) take(m manner) (uint16, error) {
	i, ok := p.indexes[m]
	if !ok {
		var err error
		if i, err = p.add(m); err != nil {
			return 0, err
		}
	}
	p.users[i]++
	return i, nil
}

// release says that a flight is treated by it no more.
func (p *profiles) release(i uint16) { p.users[i]-- }

func (p *profiles) add(m manner) (uint16, error) {
	at := len(p.manners)
	if at == maxProfiles {
		for at = 0; at < maxProfiles && p.users[at] > 0; at++ {
		}
		if at == maxProfiles {
			return 0, fmt.Errorf("%d different time limits are in use at once", maxProfiles)
		}
	}
	if err := p.engine.SetProfile(uint16(at), p.profile(m)); err != nil {
		return 0, err
	}
	if at == len(p.manners) {
		p.manners, p.users = append(p.manners, m), append(p.users, 0)
	} else {
		delete(p.indexes, p.manners[at])
		p.manners[at] = m
	}
	p.indexes[m] = uint16(at)
	return uint16(at), nil
}

// profile is what the engine hears of a manner.
func (p *profiles) profile(m manner) engine.Profile {
	e := engine.Profile{Dialogue: dialogue{p.flights}, Limits: m.limits, Reset: !m.kept}
	if m.kept {
		e.Limits.Idle = -1 // silence is what a heartbeat finds out
	}
	if m.heartbeat > 0 {
		e.Heartbeat, e.Heartbeats, e.TellHeartbeats = m.heartbeat, heartbeats{p.flights}, true
	}
	return e
}
