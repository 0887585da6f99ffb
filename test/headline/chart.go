package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// The chart has a row for each contestant, with two panels. All are in pixels.
const (
	rowHeight, panelHeight = 96, 60
	panelWidth             = 400
	left, gap, top         = 56, 72, 44
	width                  = left + 2*panelWidth + gap + 24
	ratePeriod             = 5 // seconds that a point of the requests' line is the mean of
)

// point is one of a line, in seconds and in the panel's unit.
type point struct{ x, y float64 }

// chart is an SVG picture of memory and requests a second over the time.
func chart(results []*result) []byte {
	var b bytes.Buffer
	seconds, fastest := 1.0, 1.0
	rates := make([][]point, len(results))
	for i, r := range results {
		seconds = max(seconds, r.Asked)
		rates[i] = means(r.Report.Answers)
		for _, p := range rates[i] {
			fastest = max(fastest, p.y)
		}
	}
	fastest = math.Ceil(fastest/100) * 100
	height := top + rowHeight*len(results) + 12
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="11" fill="#333">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="16">memory that cannot be taken back, MiB; red: the limit, and kills by the kernel</text>`+"\n", left)
	fmt.Fprintf(&b, `<text x="%d" y="16">requests a second; red: failed ones</text>`+"\n", left+panelWidth+gap)
	for i, r := range results {
		c, _ := named(r.Name)
		y := top + rowHeight*i
		color := "#777"
		if c.memsup {
			color = "#06c"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", left, y-6, html.EscapeString(c.title))

		p := panel{x: left, y: y, seconds: seconds, most: 1.1 * limit / (1 << 20)}
		p.axes(&b, limit>>20)
		p.line(&b, []point{{0, limit >> 20}, {seconds, limit >> 20}}, "#c00")
		var used []point
		kills := int64(0)
		for _, s := range r.Samples {
			used = append(used, point{s.Second, float64(s.Bytes) / (1 << 20)})
			if s.Kills > kills {
				p.mark(&b, s.Second)
			}
			kills = s.Kills
		}
		p.line(&b, used, color)

		p = panel{x: left + panelWidth + gap, y: y, seconds: seconds, most: fastest}
		p.axes(&b, fastest)
		for _, a := range r.Report.Answers {
			if a.Bad > 0 {
				p.mark(&b, float64(a.Second))
			}
		}
		p.line(&b, rates[i], color)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// means are good answers a second over periods. A second without an answer is not
// reported, and counts as none.
func means(all []answers) (points []point) {
	if len(all) == 0 {
		return nil
	}
	sums := make([]float64, all[len(all)-1].Second/ratePeriod+1)
	for _, a := range all {
		sums[a.Second/ratePeriod] += float64(a.Good)
	}
	if len(sums) > 1 {
		sums = sums[:len(sums)-1] // of the last period there is a part
	}
	for i, sum := range sums {
		points = append(points, point{(float64(i) + 0.5) * ratePeriod, sum / ratePeriod})
	}
	return points
}

// panel is a rectangle with a scale in seconds and one of its own.
type panel struct {
	x, y          int
	seconds, most float64
}

func (p panel) at(q point) (x, y float64) {
	return float64(p.x) + q.x/p.seconds*panelWidth, float64(p.y) + panelHeight*(1-q.y/p.most)
}

// axes are a frame with the ends of both scales.
func (p panel) axes(b *bytes.Buffer, mark float64) {
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#ccc"/>`+"\n", p.x, p.y, panelWidth, panelHeight)
	_, y := p.at(point{0, mark})
	fmt.Fprintf(b, `<text x="%d" y="%.0f" text-anchor="end">%.0f</text><text x="%d" y="%d" text-anchor="end">0</text>`+"\n", p.x-4, y+4, mark, p.x-4, p.y+panelHeight)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="#999">%.3g min</text>`+"\n", p.x+panelWidth, p.y+panelHeight+12, p.seconds/60)
}

func (p panel) line(b *bytes.Buffer, points []point, color string) {
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" points="`, color)
	for _, q := range points {
		x, y := p.at(q)
		fmt.Fprintf(b, "%.1f,%.1f ", x, y)
	}
	b.WriteString(`"/>` + "\n")
}

// mark is a stroke at the panel's foot.
func (p panel) mark(b *bytes.Buffer, second float64) {
	x, _ := p.at(point{second, 0})
	fmt.Fprintf(b, `<path stroke="#c00" d="M%.1f %dv-10"/>`+"\n", x, p.y+panelHeight)
}
