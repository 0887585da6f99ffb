package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// result is what one contestant came to.
type result struct {
	Name    string  `json:"name"`
	Taken   string  `json:"taken"`
	Asked   float64 `json:"asked"` // seconds of load
	Report  *report `json:"report"`
	Kills   int64   `json:"kills"`           // the kernel's, for memory
	Ended   string  `json:"ended,omitempty"` // how the container ended, where it did
	Samples []look  `json:"samples"`
}

func (r *result) String() string {
	text := fmt.Sprintf("%d failed of %d, %d OOM kills, %.0f requests/s, p99 %.0f ms, at most %d MiB",
		r.Report.failed(), r.Report.Requests, r.Kills, r.Report.rate(), float64(r.Report.P99)/1e3, r.most()>>20)
	if r.Ended != "" {
		text += ", the container ended: " + r.Ended
	}
	return text
}

// most is the most memory of all looks.
func (r *result) most() (most int64) {
	for _, s := range r.Samples {
		most = max(most, s.Bytes)
	}
	return most
}

func (r *result) save(dir string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Name+".json"), text, 0o644)
}

// forget removes the result of a run before, so that a run which fails does not
// leave that one in the table.
func forget(c contestant, dir string) error {
	err := os.Remove(filepath.Join(dir, c.name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// load reads the results that are kept, in the contestants' order, and says who is
// missing. One of another length does not count.
func load(dir string, length time.Duration) (results []*result, missing []string, err error) {
	for _, c := range contestants {
		text, err := os.ReadFile(filepath.Join(dir, c.name+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, c.name)
			continue
		} else if err != nil {
			return nil, nil, err
		}
		var r result
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, nil, fmt.Errorf("%s.json: %w", filepath.Join(dir, c.name), err)
		}
		if r.Asked != length.Seconds() || r.Report == nil {
			missing = append(missing, c.name)
			continue
		}
		results = append(results, &r)
	}
	return results, missing, nil
}

// measure runs a contestant in a container and loads it for so long.
func measure(ctx context.Context, c contestant, length time.Duration, dir string) (*result, error) {
	name := "memsup-headline-" + c.name
	// What an interrupted run left behind has the name.
	_ = exec.Command("docker", "rm", "--force", name, name+"-wrk").Run()
	size := strconv.Itoa(limit)
	id, err := output(ctx, "docker", append([]string{"run", "--detach", "--name", name, "--memory", size, "--memory-swap", size, tag}, c.command...)...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if log, err := exec.Command("docker", "logs", name).CombinedOutput(); err == nil {
			_ = os.WriteFile(filepath.Join(dir, c.name+".log"), log, 0o644)
		}
		_ = exec.Command("docker", "rm", "--force", name, name+"-wrk").Run()
	}()
	state, err := output(ctx, "docker", "inspect", "--format", "{{.State.Pid}} {{.NetworkSettings.IPAddress}}", id)
	if err != nil {
		return nil, err
	}
	pid, address, _ := strings.Cut(state, " ")
	place, err := memory(pid)
	if err != nil {
		return nil, err
	}
	if err := answering(ctx, "http://"+address+":8080/"); err != nil {
		return nil, err
	}

	r := &result{Name: c.name, Taken: time.Now().UTC().Format(time.RFC3339), Asked: length.Seconds()}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan []look)
	go func() { watched <- place.watch(watching) }()
	seconds := fmt.Sprintf("%.0fs", length.Seconds())
	text, err := output(ctx, "docker", "run", "--rm", "--name", name+"-wrk", "--network", "container:"+name, tag,
		"wrk", "--threads", "1", "--connections", strconv.Itoa(connections), "--duration", seconds, "--timeout", "10s",
		"--script", "report.lua", "http://127.0.0.1:8080/")
	stop()
	r.Samples = <-watched
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, c.name+".wrk"), []byte(text+"\n"), 0o644); err != nil {
		return nil, err
	}
	if r.Report, err = parseReport(strings.NewReader(text)); err != nil {
		return nil, err
	}
	if len(r.Samples) == 0 {
		return nil, fmt.Errorf("nothing was read of %s", place.dir)
	}
	r.Kills = r.Samples[len(r.Samples)-1].Kills
	running, err := output(ctx, "docker", "inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", id)
	if err != nil {
		return nil, err
	}
	if code, ended := strings.CutPrefix(running, "false "); ended {
		r.Ended = "exit status " + code
	}
	return r, nil
}

// answering waits for the first answer.
func answering(ctx context.Context, url string) error {
	const patience, pause = time.Minute, 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var answer *http.Response
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if answer, err = http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(answer.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer from the server within %s: %w", patience, err)
		case <-time.After(pause):
		}
	}
}

// output runs a command and returns what it printed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	var problems bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}
