// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux && !race

package ul

import (
	"syscall"
	"unsafe"
)

// maxIOV is how many buffers Linux takes in one call.
const maxIOV = 1024

func (r *reading) sysReadv(fd uintptr, v [][]byte) (int, syscall.Errno) {
	r.iov = vectors(r.iov[:0], v)
	n, _, errno := syscall.RawSyscall(syscall.SYS_READV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(r.iov))), uintptr(len(r.iov))) //nolint:gosec // a slice's own length
	clear(r.iov)
	return int(n), errno
}

func (w *writing) sysWritev(fd uintptr, v [][]byte) (int, syscall.Errno) {
	w.iov = vectors(w.iov[:0], v)
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.iov))), uintptr(len(w.iov))) //nolint:gosec // a slice's own length
	clear(w.iov)
	return int(n), errno
}

// vectors appends pieces of memory for a system call, as many as it takes.
func vectors(iov []syscall.Iovec, v [][]byte) []syscall.Iovec {
	for _, b := range v[:min(len(v), maxIOV)] {
		iov = append(iov, syscall.Iovec{Base: unsafe.SliceData(b)}) //nolint:gosec // the slice's own length follows
		iov[len(iov)-1].SetLen(len(b))
	}
	return iov
}
