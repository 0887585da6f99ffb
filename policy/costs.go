package policy

import "slices"

// learnCosts takes the upper median of what the ready workers of each type keep.
func (s *State) learnCosts(o *Observation) {
	s.costs = slices.Grow(s.costs[:0], len(o.Workers))[:len(o.Workers)]
	end := 0
	for i := range s.types {
		s.types[i].costs = s.costs[end : end : end+s.types[i].ready]
		end += s.types[i].ready
	}
	for i := range o.Workers {
		w := &o.Workers[i]
		if !s.has(w.Type) || w.Phase != Ready || w.Cost <= 0 || s.types[w.Type].outdated(w) {
			continue
		}
		t := &s.types[w.Type]
		cost := bytes(w.Cost)
		if k := &s.tracks[i]; k.begun {
			cost = k.keeps()
		}
		t.costs = append(t.costs, cost)
		if t.least == 0 || cost < t.least {
			t.least = cost
		}
	}
	for i := range s.types {
		if t := &s.types[i]; len(t.costs) > 0 {
			t.cost = middle(t.costs)
		}
	}
}

// middle returns the upper median, and reorders what it is given.
func middle(v []int64) int64 {
	k, low, high := len(v)/2, 0, len(v)-1
	for low < high {
		pivot, i, j := v[(low+high)/2], low, high
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for v[j] > pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i, j = i+1, j-1
			}
		}
		if j < k {
			low = i
		}
		if i > k {
			high = j
		}
	}
	return v[k]
}

// outdated says whether a worker is of a release before the type's.
func (t *typeState) outdated(w *Worker) bool { return t.changed && w.Since < t.released }
