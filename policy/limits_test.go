package policy

import "testing"

func TestExceeded(t *testing.T) {
	c := Config{
		Limits: []Limit{{"files", 100}, {"db", 20}},
		Types: []Type{
			{Name: "web", Min: 2, Max: 9, Uses: []int{1, 5}},
			{Name: "jobs", Min: 3, Max: 9, Uses: []int{0, 4}},
			{Name: "clock", Min: 1, Max: 1},
		},
	}
	for low, want := range map[int]int64{2: 0, 3: 22} {
		c.Types[1].Min = low
		if limit, uses, exceeded := c.Exceeded(); exceeded != (want > 0) || uses != want || exceeded && limit != 1 {
			t.Errorf("%d of jobs at least: limit %d, %d used, exceeded %v", low, limit, uses, exceeded)
		}
	}
}
