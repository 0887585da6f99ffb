package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/sim"
)

// planned is what plan is asked about a container that does not exist.
type planned struct {
	limit, worker, shared, reserve string
	most                           int
}

// mostShown is how many decisions plan shows.
const mostShown = 32

// plan simulates the container: workers that take their size when they start, and
// keep it.
func (q *planned) plan(to io.Writer) error {
	if q.limit == "" || q.worker == "" {
		return errors.New("nothing to go by; write --limit SIZE --worker SIZE, or --trace FILE of memsup run --record FILE")
	}
	limit, err := parseLimit(q.limit)
	if err != nil {
		return fmt.Errorf("--limit: %w", err)
	}
	worker, err := parseLimit(q.worker)
	if err != nil {
		return fmt.Errorf("--worker: %w", err)
	}
	shared, err := procfile.ParseSize(q.shared)
	if err != nil {
		return fmt.Errorf("--shared: %w", err)
	}
	kept, err := parseReserve(q.reserve)
	if err != nil {
		return fmt.Errorf("--reserve: %w", err)
	}
	if q.most < 1 || q.most > procfile.MaxWorkers {
		return fmt.Errorf("--max: %d workers; write 1 to %d", q.most, procfile.MaxWorkers)
	}
	config := policy.Config{Reserve: kept.bytes, ReservePercent: kept.percent}
	reserve := config.ReserveFor(limit)

	s := &sim.Scenario{
		Span: 24 * time.Hour, CPUs: 1, Limit: limit, ReserveBytes: kept.bytes, ReservePercent: kept.percent,
		Types: []sim.Type{{Name: "worker", Profile: sim.Constant(worker, shared), Min: 1, Max: q.most, Load: sim.Steady(0)}},
	}
	r := sim.Run(s, &sim.Memsup{}, 5*time.Second)
	out := bufio.NewWriter(to)
	last := r.Timeline[len(r.Timeline)-1]
	n := int64(last.Types[0].Serving)
	fmt.Fprintf(out, "limit %s, reserve %s, a worker %s", size(limit), size(reserve), size(worker))
	if shared > 0 {
		fmt.Fprintf(out, ", shared by all %s", size(shared))
	}
	fmt.Fprintln(out)
	if r.Kills > 0 {
		fmt.Fprintf(out, "not even one worker fits: the kernel kills it\n")
		return out.Flush()
	}
	settled := last.At
	for i := len(r.Timeline) - 1; i >= 0 && r.Timeline[i].Types[0] == last.Types[0]; i-- {
		settled = r.Timeline[i].At
	}
	free := last.Available
	if n == 0 {
		fmt.Fprintf(out, "not even one fits beside half the reserve\n\n")
	} else {
		fmt.Fprintf(out, "%d fit and leave %s free", n, size(free))
		switch left := free - worker; {
		case n == int64(q.most):
		case left < 0:
			fmt.Fprintf(out, "; for one more %s are missing", size(-left))
		default:
			fmt.Fprintf(out, "; one more would leave %s", size(left))
		}
		fmt.Fprintf(out, "\n\n")
	}
	rows := table{rows: [][]string{{"AT", "ACTION", "WORKER", "REASON"}}}
	for i, d := range r.Decisions {
		if i == mostShown {
			rows.row("and", fmt.Sprint(len(r.Decisions)-i), "more")
			break
		}
		rows.row(d.At.Round(time.Second).String(), d.Action, d.Worker, d.Reason)
	}
	if len(rows.rows) > 1 {
		fmt.Fprintf(out, "%s\n", &rows)
	}
	var moments []moment
	for _, i := range r.Timeline {
		if i.At <= settled+settled/4+time.Minute {
			moments = append(moments, moment{i.At, i.Limit, i.Limit - i.Available, i.Types[0].Starting + i.Types[0].Serving})
		}
	}
	io.WriteString(out, chart(moments))
	return out.Flush()
}
