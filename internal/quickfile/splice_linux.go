// SPDX-License-Identifier: AGPL-3.0-or-later

package quickfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"unsafe"
)

// WriteFrom writes two pieces and, behind them, up to n bytes that src gives next. Those the kernel takes from its page
// cache, so they don't pass through our memory. It returns how many bytes it wrote. If they are fewer and there is no
// error, the pieces are written and src stands at the next byte: it has ended, or the kernel can't do more. Then the
// caller reads and writes the rest, and so meets the error if there is one.
func (f *File) WriteFrom(first, second []byte, src *File, n int64) (int64, error) {
	done, err := f.splice(first, second, src, n)
	if err != nil || done >= int64(len(first)+len(second)) {
		return done, err
	}
	k := min(int(done), len(first))
	more, err := f.WriteBoth(first[k:], second[int(done)-k:])
	return done + int64(more), err
}

// splice is WriteFrom as far as the kernel goes along, perhaps within the pieces. A pipe holds the pieces and the pages
// of src, so that a file of up to pipeSize is written at once, as if it lay in memory. copy_file_range would write
// 64 KB after the other.
func (f *File) splice(first, second []byte, src *File, n int64) (done int64, err error) {
	lead := int64(len(first) + len(second))
	before, regular := src.size()
	if !regular || lead > pipeSize/2 {
		return 0, nil
	}
	p, ok := takePipe()
	if !ok {
		return 0, nil
	}
	held := p.put(first, second)
	for ok = held == lead; ok && n > 0; {
		k := splice(src.fd, p.in, n)
		n, held = n-k, held+k
		if ok = k > 0; ok {
			f.reserve(int(held))
		}
		for ok && held > 0 {
			k := splice(p.out, f.fd, held)
			held, done, f.at = held-k, done+k, f.at+k
			ok = k > 0
		}
	}
	if held > 0 {
		p.close()
		if back := held - max(0, lead-done); back > 0 {
			_, err = src.Seek(-back, io.SeekCurrent)
		}
		return done, err
	}
	p.giveBack()
	if after, _ := src.size(); n == 0 && after < before { // what is cut off may be zeros by the time that it is written
		err = &fs.PathError{
			Op: "read", Path: src.path, Err: fmt.Errorf("it was cut off meanwhile: %w", io.ErrUnexpectedEOF),
		}
	}
	return done, err
}

// size tells how long a regular file is; another one has no size.
func (f *File) size() (n int64, regular bool) {
	var stat syscall.Stat_t
	err := syscall.Fstat(int(f.fd), &stat)
	return stat.Size, err == nil && stat.Mode&syscall.S_IFMT == syscall.S_IFREG
}

// splice moves up to n bytes from where one descriptor stands to where another one does. It gives 0 at the end of a
// file, and if it can't.
func splice(from, to uintptr, n int64) int64 {
	k, _, errno := syscall.RawSyscall6(syscall.SYS_SPLICE, from, 0, to, 0, uintptr(min(n, pipeSize)), 0)
	if errno != 0 {
		return 0
	}
	return int64(k)
}

// pipe is a pipe of our own, empty unless a file is being written.
type pipe struct{ out, in uintptr }

// pipeSize is as much as Linux allows everybody for a pipe.
const pipeSize = 1 << 20

// pipes are those that wait for the next file.
var pipes = make(chan pipe, 8)

func takePipe() (p pipe, ok bool) {
	select {
	case p := <-pipes:
		return p, true
	default:
	}
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return p, false
	}
	p = pipe{uintptr(ends[0]), uintptr(ends[1])}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, p.in, setPipeSize, pipeSize); errno != 0 {
		p.close()
		return p, false
	}
	return p, true
}

// setPipeSize is F_SETPIPE_SZ, which package syscall lacks.
const setPipeSize = 1031

// put gives how many bytes the pipe took.
func (p pipe) put(first, second []byte) int64 {
	var v [2]syscall.Iovec
	v[0].Base, v[1].Base = unsafe.SliceData(first), unsafe.SliceData(second) //nolint:gosec // with the slices' own lengths
	v[0].SetLen(len(first))
	v[1].SetLen(len(second))
	k, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, p.in, uintptr(unsafe.Pointer(&v)), uintptr(len(v))) //nolint:gosec // as above
	if errno != 0 {
		return 0
	}
	return int64(k)
}

func (p pipe) giveBack() {
	select {
	case pipes <- p:
	default:
		p.close()
	}
}

func (p pipe) close() {
	_ = errors.Join(syscall.Close(int(p.out)), syscall.Close(int(p.in))) // nothing of it is missed
}
