// SPDX-License-Identifier: AGPL-3.0-or-later

package fault

import (
	"errors"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/people"
)

// Why a run of a task did not come to a good end.
const (
	faultDatabase    = "database"          // it didn't answer
	faultDown        = "server_down"       // a server couldn't be reached
	faultFull        = "server_full"       // a server was out of resources, or took no further association
	faultRefused     = "server_refused"    // a server doesn't do what was asked
	faultBroken      = "server_broke_off"  // an association broke, or what came over it can't be read
	faultBarred      = "receiver_barred"   // the receiver turned the source away
	faultUnavailable = "study_offline"     // the study has to be brought back
	faultDisk        = "disk"              // a file couldn't be written
	faultQuota       = "quota"             // the folder may not grow any more
	faultDenied      = "denied"            // a right is missing
	FaultMissing     = "instances_missing" // nothing failed, and instances are missing at the destination
	faultOther       = "other"
)

// Kinds are all of them.
var Kinds = []string{
	faultDatabase, faultDown, faultFull, faultRefused, faultBroken, faultBarred,
	faultUnavailable, faultDisk, faultQuota, faultDenied, FaultMissing, faultOther,
}

// Kind returns the kind of an error that ended a run.
func Kind(err error) string {
	own, _ := errors.AsType[*Fault](err)
	var denied *people.Denied
	var quota *NoRoom
	switch {
	case own != nil && own.Unavailable:
		return faultUnavailable
	case own != nil && own.Barred:
		return faultBarred
	case DatabaseTrouble(err) != nil:
		return faultDatabase
	case own != nil && own.Full:
		return faultFull
	case Unreachable(err):
		_, status := errors.AsType[*dimse.StatusError](err)
		if _, answer := errors.AsType[*web.StatusError](err); answer || status {
			return faultFull
		}
		return faultDown
	case errors.As(err, &quota):
		return faultQuota
	case errors.As(err, &denied):
		return faultDenied
	case DiskFault(err):
		return faultDisk
	case PeerFailed(err):
		return faultBroken
	case PeerRefused(err):
		return faultRefused
	}
	return faultOther
}
