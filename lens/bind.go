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
	return v.put(documents, memory)
}

// unbind forgets what bind made, of which the end of its thread leaves nothing.
func (v *View) unbind() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, d := range []*document{&v.meminfo, &v.cpuinfo, &v.online} {
		if d.bound != nil {
			d.bound.Close()
			d.bound = nil
		}
	}
}

// put makes the documents' files in a directory, and binds them. Their texts are made
// first: this thread sees what is bound, and no longer what the kernel says.
func (v *View) put(documents []*document, dir string) (err error) {
	path := func(i int) string { return fmt.Sprintf("%s/%d", dir, i) }
	for i, d := range documents {
		if d.bound, err = os.OpenFile(path(i), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0); err != nil {
			return fmt.Errorf("make a file for %s: %w", d.path, err)
		}
		if err := d.bound.Chmod(0o444); err != nil { // whatever the umask
			return fmt.Errorf("make a file for %s: %w", d.path, err)
		}
	}
	v.cpusAt = time.Time{}
	for _, d := range documents {
		v.refresh(d, time.Now(), 0)
	}
	for i, d := range documents {
		if err := d.bind(path(i)); err != nil {
			return fmt.Errorf("bind a file over %s: %w", d.path, err)
		}
	}
	return nil
}

// bind binds the file at path over the document's, read-only.
func (d *document) bind(path string) error {
	err := unix.Mount(path, d.path, "", unix.MS_BIND, "")
	if err == nil {
		err = unix.Mount("", d.path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	return os.NewSyscallError("mount", err)
}
