package decider

import (
	"fmt"
	"sync"
	"time"
)

// Zone is a time zone. As text, in JSON too, it is its IANA name, so that a policy that was written down can be read back.
// The zero value is UTC without a name.
type Zone struct{ at *time.Location }

// zones are the zones loaded so far. One name is one *time.Location: what such a one has within depends on when it was
// loaded, and two policies that say the same are to compare equal.
var zones sync.Map

// LoadZone finds the zone of that IANA name. It is the only function here that may read a file; Decide never loads a zone.
func LoadZone(name string) (Zone, error) {
	if known, ok := zones.Load(name); ok {
		return Zone{known.(*time.Location)}, nil
	}
	if name == "" || name == "Local" {
		return Zone{}, fmt.Errorf("time zone %q: not an IANA name; write something like Europe/Berlin", name)
	}
	at, err := time.LoadLocation(name)
	if err != nil {
		return Zone{}, fmt.Errorf("time zone %q: %w", name, err)
	}
	known, _ := zones.LoadOrStore(name, at)
	return Zone{known.(*time.Location)}, nil
}

func (z Zone) location() *time.Location {
	if z.at == nil {
		return time.UTC
	}
	return z.at
}

// String is the zone's name.
func (z Zone) String() string { return z.location().String() }

// MarshalText writes the zone's name; empty for the zero value.
func (z Zone) MarshalText() ([]byte, error) {
	if z.at == nil {
		return nil, nil
	}
	return []byte(z.at.String()), nil
}

// UnmarshalText loads the zone of that name.
func (z *Zone) UnmarshalText(name []byte) (err error) {
	if *z = (Zone{}); len(name) > 0 {
		*z, err = LoadZone(string(name))
	}
	return err
}
