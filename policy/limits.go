package policy

import "fmt"

// Limit is something other than memory that workers use up and that there is
// only so much of, such as connections to a database.
type Limit struct {
	Name string
	Most int
}

// use is how much one worker of the type uses of limit j.
func (k *Type) use(j int) int64 {
	if j >= len(k.Uses) {
		return 0
	}
	return min(int64(max(0, k.Uses[j])), 1<<32)
}

// used is how much of limit j is used: by the workers that are wanted, and by
// those that are starting or stopping until they are gone.
func (s *State) used(c *Config, j int) int64 {
	var used int64
	for i := range s.types {
		t := &s.types[i]
		used = plus(used, min(int64(max(t.wanted, t.live+t.stopping)+t.extra), 1<<16)*c.Types[i].use(j))
	}
	return used
}

// limited is the limit that one more worker of type i would pass.
func (s *State) limited(c *Config, i int) Block {
	for j := range c.Limits {
		use := c.Types[i].use(j)
		if use == 0 {
			continue
		}
		if used := s.used(c, j); used+use > int64(c.Limits[j].Most) {
			return Block{why: limitUsed, name: c.Limits[j].Name, room: used, maximum: c.Limits[j].Most, cost: use, who: c.Types[i].Name}
		}
	}
	return Block{}
}

// comply stops workers above their minimum while more are wanted than a limit
// allows, as after a minimum was raised: lowest priority first.
func (s *State) comply(l *look) {
	if len(s.actions) > 0 {
		return
	}
	s.chosen = s.chosen[:0]
	for j := range l.c.Limits {
		most := int64(l.c.Limits[j].Most)
		for {
			wanted := int64(0)
			for i := range s.types {
				wanted = plus(wanted, min(int64(s.types[i].wanted), 1<<16)*l.c.Types[i].use(j))
			}
			from := s.yields(l.c, func(i int) bool { return l.c.Types[i].use(j) > 0 && s.aboveMinimum(i) })
			if wanted <= most || from < 0 {
				break
			}
			i, because := s.pick(l.o, from, s.chosen)
			w := &l.o.Workers[i]
			s.drop(l, i, fmt.Sprintf("%s: the workers wanted use %d of %d; %s",
				l.c.Limits[j].Name, wanted, most, s.goes(l, w, because)))
		}
	}
}

// Exceeded is the first limit that the types' minima pass together, and how much
// of it they use; false where there is none.
func (c *Config) Exceeded() (limit int, uses int64, exceeded bool) {
	for j := range c.Limits {
		uses = 0
		for i := range c.Types {
			uses = plus(uses, min(int64(max(0, c.Types[i].Min)), 1<<16)*c.Types[i].use(j))
		}
		if uses > int64(c.Limits[j].Most) {
			return j, uses, true
		}
	}
	return 0, 0, false
}
