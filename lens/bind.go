package lens

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// bind gives this thread a mount namespace of its own, in which the documents'
// files have the view's texts. What is mounted outside from now on is seen there,
// as far as the container's mounts hand that on; what is outside stays as it is, with
// what this process itself reads.
func (v *View) bind() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace, which needs CAP_SYS_ADMIN: unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keep mounts from the container: mount: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	const memory = "/dev" // nobody else is in this namespace yet
	if err := unix.Mount("memsup", memory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=4m"); err != nil {
		return fmt.Errorf("mount a file system in memory: mount: %w", err)
	}
	defer func() { _ = unix.Unmount(memory, unix.MNT_DETACH) }()
	documents := []*document{&v.meminfo}
	if v.readCPUs(time.Now()); v.online.page != nil {
		documents = append(documents, &v.cpuinfo, &v.online)
	}
	for i, d := range documents {
		if err := d.bind(fmt.Sprintf("%s/%d", memory, i)); err != nil {
			for _, d := range documents {
				d.bound = nil
			}
			return err
		}
	}
	v.cpusAt = time.Time{}
	for _, d := range documents {
		v.refresh(d, time.Now())
	}
	return nil
}

// bind makes a file at path and binds it over the document's, read-only.
func (d *document) bind(path string) (err error) {
	d.bound, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o444)
	if err == nil {
		err = os.NewSyscallError("mount", unix.Mount(path, d.path, "", unix.MS_BIND, ""))
	}
	if err == nil {
		err = os.NewSyscallError("mount", unix.Mount("", d.path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
	}
	if err != nil {
		return fmt.Errorf("bind a file over %s: %w", d.path, err)
	}
	return nil
}
