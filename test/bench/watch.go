package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// crowd is how many workers memsup is to watch for a hundredth of a CPU.
const crowd = 200

// watching measures the CPU that it takes to watch many workers, in a container
// that is nearly full: memory is looked at every two seconds or so, and each
// worker measured. supervisord, which looks at nothing but their ends, has as many.
func watching(t *table, peers []*peer, e extent, dir string) error {
	r := t.row(fmt.Sprintf("watching %d sleeping workers: CPU, %% of one", crowd), atMost(1))
	for _, p := range peers {
		var args []string
		var err error
		switch p.name {
		case "memsup":
			args, err = crowdedProcfile(p.program, dir)
		case "supervisord":
			args, err = crowdedConf(dir)
		default:
			continue
		}
		if err != nil {
			return err
		}
		if err := watch(r, p, args, e, dir); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// crowdedProcfile gives memsup a limit that leaves 256 MiB above what is used here.
func crowdedProcfile(memsup, dir string) ([]string, error) {
	out, err := exec.Command(memsup, "env", "--format", "json").Output()
	if err != nil {
		return nil, err
	}
	var here struct {
		Limit     int64 `json:"MEM_LIMIT"`
		Available int64 `json:"MEM_AVAILABLE"`
	}
	if err := json.Unmarshal(out, &here); err != nil {
		return nil, err
	}
	args, err := procfile(dir)
	return append(args, "--scale", "worker="+strconv.Itoa(crowd), "--reserve", "16MiB", "--log-level", "error",
		"--limit", strconv.FormatInt(here.Limit-here.Available+320<<20, 10)), err
}

func crowdedConf(dir string) ([]string, error) {
	args, err := supervisordConf(dir)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(args[1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "numprocs=%d\nprocess_name=%%(process_num)d\n", crowd)
	return args, err
}

func watch(r *row, p *peer, args []string, e extent, dir string) error {
	cmd := exec.Command(p.program, args...)
	said, err := os.Create(filepath.Join(dir, p.name+".crowd"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		names, err := tree(cmd.Process.Pid)
		workers := 0
		for _, name := range names {
			if name == "sleep" {
				workers++
			}
		}
		if err != nil {
			return err
		}
		if workers == crowd {
			break
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(said.Name())
			return fmt.Errorf("%d workers run, not %d\n%s", workers, crowd, text)
		}
	}
	time.Sleep(e.settle)
	before, err := cpuTime(cmd.Process.Pid)
	if err != nil {
		return err
	}
	for range 3 {
		time.Sleep(e.watch)
		now, err := cpuTime(cmd.Process.Pid)
		if err != nil {
			return err
		}
		r.add(p.name, 100*(now-before).Seconds()/e.watch.Seconds())
		before = now
	}
	return nil
}
