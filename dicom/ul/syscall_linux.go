// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux && !race

package ul

import (
	"net"
	"syscall"
	"unsafe"
)

// maxIOV is how many buffers Linux takes in one writev.
const maxIOV = 1024

func sysRead(fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // a slice's own length
	return int(n), errno
}

func (w *writing) sysWritev(fd uintptr, v net.Buffers) (int, syscall.Errno) {
	w.iov = w.iov[:0]
	for _, b := range v[:min(len(v), maxIOV)] {
		w.iov = append(w.iov, syscall.Iovec{Base: unsafe.SliceData(b)}) //nolint:gosec // the slice's own length follows
		w.iov[len(w.iov)-1].SetLen(len(b))
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.iov))), uintptr(len(w.iov))) //nolint:gosec // as above
	clear(w.iov)
	return int(n), errno
}
