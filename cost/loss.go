package cost

// A Loss is a process that was alive in a worker's tree and has ended.
type Loss struct {
	Target int   // the worker's main process, another one
	PID    int   // the one that ended
	Bytes  int64 // what the container would have got back of it, when it was last measured
}

// Lost appends, for each worker that lost processes other than its main process since
// the last call, the largest of them, as far as a look had seen it: who was killed,
// where the kernel tells that it killed. It reads no file.
func (m *Meter) Lost(out []Loss) []Loss {
	out = append(out, m.table.lost...)
	m.table.lost = m.table.lost[:0]
	return out
}

// compare notes what has ended since the look before.
func (t *table) compare() {
	for i := range t.last {
		before := &t.last[i]
		if before.tree == 0 {
			continue
		}
		now := t.find(before.pid)
		switch {
		case now == nil || now.start != before.start:
		case now.ended:
			now.tree = 0
		default:
			continue
		}
		if before.pid != before.tree {
			t.lose(Loss{before.tree, before.pid, before.bytes()})
		}
	}
}

func (t *table) lose(l Loss) {
	for i := range t.lost {
		if known := &t.lost[i]; known.Target == l.Target {
			if l.Bytes > known.Bytes {
				*known = l
			}
			return
		}
	}
	t.lost = append(t.lost, l)
}
