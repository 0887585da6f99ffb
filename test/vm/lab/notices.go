package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// notices reads what `memsup status --json` printed and tells how long it took
// from the kernel's notifications to the signals that they led to, in
// microseconds.
func notices([]string) error {
	var status struct {
		Decisions []struct {
			NoticeUS *int64 `json:"notice_us"`
		}
	}
	if err := json.NewDecoder(os.Stdin).Decode(&status); err != nil {
		return err
	}
	var all []int64
	for _, d := range status.Decisions {
		if d.NoticeUS != nil {
			all = append(all, *d.NoticeUS)
		}
	}
	values := map[string]any{"notices": len(all)}
	if slices.Sort(all); len(all) > 0 {
		for name, part := range map[string]int{"least": 0, "median": 50, "p90": 90, "most": 100} {
			values["notice_us_"+name] = all[(len(all)-1)*part/100]
		}
	}
	text, err := json.Marshal(values)
	fmt.Printf("VALUE %s\n", text)
	return err
}
