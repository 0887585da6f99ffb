package policy

import (
	"fmt"
	"time"
)

// Block is why a type does not grow. The zero value is that nothing hinders it.
type Block struct {
	why            why
	name           string
	index          int
	room, cost     int64
	reserve, rate  int64
	coming         int64
	wait           time.Duration
	some, full     int64
	maximum, fewer int
	who            string
	asked          asked
}

type why uint8

const (
	nothing why = iota
	atMaximum
	memoryShort
	costUnknown
	someStarting
	stillLoading
	notRunning
	takenBack
	killedBack
	justStopped
	growthPaused
	underPressure
	justKilled
	memoryGoes
	noRoom
	stillGrowing
	stillFilling
	surges
	justFits
	dips
	otherTurn
	noLimit
	noDemand
	limitUsed
	notAsked
)

// Passing says whether what hinders is soon over by itself.
func (b Block) Passing() bool {
	switch b.why {
	case someStarting, stillLoading, notRunning, justStopped, underPressure, memoryGoes, justKilled, stillFilling, justFits, otherTurn, notAsked:
		return true
	}
	return false
}

// memory says whether memory alone hinders, for longer.
func (b Block) memory() bool {
	switch b.why {
	case noRoom, stillGrowing, surges, dips:
		return true
	}
	return false
}

// String says it in words and numbers; it is empty where nothing hinders.
func (b Block) String() string {
	switch b.why {
	case atMaximum:
		return fmt.Sprintf("at its maximum of %d", b.maximum)
	case memoryShort:
		return "memory is short"
	case costUnknown:
		return fmt.Sprintf("cost unknown until %s.%d is ready", b.name, b.index)
	case someStarting:
		return fmt.Sprintf("%s.%d is starting", b.name, b.index)
	case stillLoading:
		return fmt.Sprintf("%s.%d started %s ago, and may load yet", b.name, b.index, period(b.wait))
	case notRunning:
		return fmt.Sprintf("waiting for %d of its workers to run", b.fewer)
	case takenBack:
		return fmt.Sprintf("waiting %s after an up had to be taken back", period(b.wait))
	case killedBack:
		return fmt.Sprintf("waiting %s after the kernel killed one more than fitted", period(b.wait))
	case justStopped:
		return fmt.Sprintf("waiting %s after a worker was stopped for memory", period(b.wait))
	case growthPaused:
		return fmt.Sprintf("growth paused %s, %s.%d ended before it was ready", period(b.wait), b.name, b.index)
	case underPressure:
		return fmt.Sprintf("pressure: some %.1f%%, full %.1f%% of the time", float64(b.some)/10, float64(b.full)/10)
	case justKilled:
		return "the kernel just killed for memory"
	case memoryGoes:
		return fmt.Sprintf("memory is going at %s/s", size(b.rate))
	case noRoom:
		return fmt.Sprintf("headroom %s under cost %s + reserve %s", size(b.room), size(b.cost), size(b.reserve))
	case stillGrowing:
		return fmt.Sprintf("headroom %s, less %s that running workers will grow by, under cost %s + reserve %s",
			size(b.room), size(b.coming), size(b.cost), size(b.reserve))
	case stillFilling:
		return fmt.Sprintf("headroom %s, less %s that workers may take in their first minute, under cost %s + reserve %s",
			size(b.room), size(b.coming), size(b.cost), size(b.reserve))
	case surges:
		return fmt.Sprintf("headroom %s under cost %s + %s that workers take for a moment at once", size(b.room), size(b.cost), size(b.coming))
	case justFits:
		return fmt.Sprintf("waiting %s, what workers take for a moment has only just had room", period(b.wait))
	case dips:
		return fmt.Sprintf("available memory dips to %s, under cost %s + half the reserve of %s", size(b.room), size(b.cost), size(b.reserve))
	case otherTurn:
		return fmt.Sprintf("%s goes first", b.name)
	case noLimit:
		return "no limit known"
	case noDemand:
		return "demand: " + b.asked.String()
	case limitUsed:
		return fmt.Sprintf("%s: %d of %d used, %s needs %d", b.name, b.room, b.maximum, b.who, b.cost)
	default:
		return ""
	}
}
