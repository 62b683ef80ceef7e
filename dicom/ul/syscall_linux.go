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
	return vectored(syscall.SYS_READV, fd, &r.iov, v)
}

func (w *writing) sysWritev(fd uintptr, v [][]byte) (int, syscall.Errno) {
	return vectored(syscall.SYS_WRITEV, fd, &w.iov, v)
}

// vectored makes a system call for pieces of memory, as many as it takes. The iov is kept for the next one, empty.
func vectored(call, fd uintptr, iov *[]syscall.Iovec, v [][]byte) (int, syscall.Errno) {
	all := (*iov)[:0]
	for _, b := range v[:min(len(v), maxIOV)] {
		all = append(all, syscall.Iovec{Base: unsafe.SliceData(b)}) //nolint:gosec // the slice's own length follows
		all[len(all)-1].SetLen(len(b))
	}
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(all))), uintptr(len(all))) //nolint:gosec // a slice's own length
	clear(all)
	*iov = all
	return int(n), errno
}

// setInt sets an option of a socket that is a matter of speed only.
func setInt(fd uintptr, level, option, value int) {
	v := int32(value)
	_, _, errno := syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0) //nolint:gosec // it lives until the call returns
	_ = errno
}
