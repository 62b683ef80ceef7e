// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import "fmt"

// Status is the Status (0000,0900) of a response (PS3.7 annex C; PS3.4 for the services).
type Status uint16

// The statuses that this project names.
const (
	Success                 Status = 0x0000
	Pending                 Status = 0xFF00
	PendingOptionalKeys     Status = 0xFF01 // C-FIND: optional keys were not used for matching
	Canceled                Status = 0xFE00
	ProcessingFailure       Status = 0x0110
	DuplicateSOPInstance    Status = 0x0111
	NoSuchSOPInstance       Status = 0x0112
	NoSuchEventType         Status = 0x0113
	InvalidArgument         Status = 0x0115
	InvalidSOPInstance      Status = 0x0117
	NoSuchSOPClass          Status = 0x0118
	ClassInstanceConflict   Status = 0x0119
	RefusedSOPClass         Status = 0x0122 // SOP class not supported
	RefusedNotAuthorized    Status = 0x0124
	DuplicateInvocation     Status = 0x0210
	UnrecognizedOperation   Status = 0x0211
	MistypedArgument        Status = 0x0212
	OutOfResources          Status = 0xA700
	OutOfResourcesMatches   Status = 0xA701 // C-GET, C-MOVE: unable to calculate the number of matches
	OutOfResourcesSubOps    Status = 0xA702 // C-GET, C-MOVE: unable to perform sub-operations
	MoveDestinationUnknown  Status = 0xA801
	DataSetMismatch         Status = 0xA900 // the data set or identifier does not match the SOP class
	CoercionOfDataElements  Status = 0xB000 // C-STORE
	SubOperationsIncomplete Status = 0xB000 // C-GET, C-MOVE: one or more sub-operations failed
	ElementsDiscarded       Status = 0xB006 // C-STORE
	DataSetWarning          Status = 0xB007 // C-STORE: does not match its SOP class, stored nevertheless
	CannotUnderstand        Status = 0xC000
)

// Class is the class of a status (PS3.7 C.1): all that is known of one that no table names.
type Class int

// The classes of PS3.7 annex C.
const (
	ClassSuccess Class = iota
	ClassWarning
	ClassFailure
	ClassCancel
	ClassPending
)

// Class returns the class that the number of the status stands for.
func (s Status) Class() Class {
	switch {
	case s == Success:
		return ClassSuccess
	case s == Pending, s == PendingOptionalKeys:
		return ClassPending
	case s == Canceled:
		return ClassCancel
	case s == 0x0001, s == 0x0107, s == 0x0116, s&0xF000 == 0xB000:
		return ClassWarning
	}
	return ClassFailure
}

func (s Status) String() string { return fmt.Sprintf("%04XH", uint16(s)) }

// Outcome says what follows from a status.
type Outcome int

// The outcomes.
const (
	Failed       Outcome = iota // failed, for a reason that may pass: may be tried again
	Done                        // C-STORE: delivered; else: complete as the peer sees it
	DoneNoted                   // done, and the status is worth a note
	AlreadyThere                // C-STORE: the peer says it holds the instance: confirm by a query
	BackOff                     // out of resources: fewer at once, and later
	Permanent                   // this instance or request never succeeds in this form
	Configure                   // an administrator has to change something
	Incomplete                  // C-GET, C-MOVE: some sub-operations failed: count and list
	Stopped                     // ended by C-CANCEL
	More                        // pending: more responses follow
)

// Service is a DIMSE service whose statuses have meanings of their own.
type Service string

// The services of PS3.7 9.1 and 10.1.
const (
	CEcho   Service = "C-ECHO"
	CStore  Service = "C-STORE"
	CFind   Service = "C-FIND"
	CGet    Service = "C-GET"
	CMove   Service = "C-MOVE"
	NAction Service = "N-ACTION"
)

// Meaning is a row of the table of statuses.
type Meaning struct {
	Outcome Outcome
	Text    string // what happened and, if there is something to do, what
}

type statusRow struct {
	from, to Status
	Meaning
}

// commonStatuses hold for every service that has no row of its own (PS3.7 annex C).
var commonStatuses = []statusRow{
	{0x0000, 0x0000, Meaning{Done, "success"}},
	{0x0105, 0x0106, Meaning{Permanent, "no such attribute or an invalid attribute value"}},
	{0x0110, 0x0110, Meaning{Failed, "processing failure; look into the peer's log"}},
	{0x0112, 0x0112, Meaning{Permanent, "no such SOP instance"}},
	{0x0113, 0x0114, Meaning{Permanent, "no such event type or argument"}},
	{0x0115, 0x0115, Meaning{Permanent, "invalid argument value"}},
	{0x0117, 0x0117, Meaning{Permanent, "invalid SOP instance"}},
	{0x0118, 0x0118, Meaning{Configure, "no such SOP class; the peer does not offer this service"}},
	{0x0119, 0x0119, Meaning{Permanent, "class and instance conflict"}},
	{0x0120, 0x0121, Meaning{Permanent, "an attribute or its value is missing"}},
	{0x0122, 0x0122, Meaning{Configure, "SOP class not supported; the peer does not offer this service"}},
	{0x0123, 0x0123, Meaning{Configure, "no such action; the peer does not offer this service"}},
	{0x0124, 0x0124, Meaning{Configure, "not authorized; ask the administrator of that server to allow this AE title to do so"}},
	{0x0131, 0x0131, Meaning{Permanent, "the transaction UID is already in use"}},
	{0x0210, 0x0210, Meaning{Failed, "duplicate invocation"}},
	{0x0211, 0x0211, Meaning{Configure, "unrecognized operation; the peer does not offer this service"}},
	{0x0212, 0x0212, Meaning{Permanent, "mistyped argument"}},
	{0x0213, 0x0213, Meaning{BackOff, "resource limitation; the peer is busy or full"}},
	{0xFE00, 0xFE00, Meaning{Stopped, "canceled"}},
	{0xFF00, 0xFF00, Meaning{More, "pending"}},
}

// retrieveStatuses are those of C-GET and C-MOVE (PS3.4 C.4.2.1.5, C.4.3.1.4).
var retrieveStatuses = []statusRow{
	{0xA701, 0xA701, Meaning{BackOff, "out of resources: unable to calculate the number of matches"}},
	{0xA702, 0xA702, Meaning{BackOff, "out of resources: unable to perform sub-operations"}},
	{0xA700, 0xA7FF, Meaning{BackOff, "out of resources"}},
	{0xA801, 0xA801, Meaning{Configure, "move destination unknown; ask the administrator of that server to add this AE title with this host's address and port"}},
	{0xA900, 0xA9FF, Meaning{Permanent, "the identifier does not match the SOP class"}},
	{0xB000, 0xB000, Meaning{Incomplete, "one or more sub-operations failed or had warnings"}},
	{0xC000, 0xCFFF, Meaning{Failed, "unable to process"}},
}

// statuses is the one table of statuses: by service, then the first row that holds the number.
var statuses = map[Service][]statusRow{
	// PS3.4 B.2.3
	CStore: {
		{0x0000, 0x0000, Meaning{Done, "delivered"}},
		{0x0111, 0x0111, Meaning{AlreadyThere, "the peer already holds this SOP instance"}},
		{0x0122, 0x0122, Meaning{Permanent, "SOP class not supported by the peer"}},
		{0x0124, 0x0124, Meaning{Permanent, "not authorized; ask the administrator of that server to allow this AE title to store"}},
		{0xA700, 0xA7FF, Meaning{BackOff, "out of resources; the peer is busy or full"}},
		{0xA900, 0xA9FF, Meaning{Permanent, "the data set does not match its SOP class"}},
		{0xB000, 0xB000, Meaning{DoneNoted, "delivered; the peer coerced data elements"}},
		{0xB006, 0xB006, Meaning{DoneNoted, "delivered; the peer discarded elements"}},
		{0xB007, 0xB007, Meaning{DoneNoted, "delivered; the data set does not match its SOP class"}},
		{0xC000, 0xCFFF, Meaning{Permanent, "the peer cannot understand the data set"}},
	},
	// PS3.4 C.4.1.1.4
	CFind: {
		{0xA700, 0xA7FF, Meaning{BackOff, "out of resources; the peer is busy"}},
		{0xA900, 0xA9FF, Meaning{Permanent, "the identifier does not match the SOP class; the peer does not offer this query level or key"}},
		{0xC000, 0xCFFF, Meaning{Failed, "unable to process the query"}},
		{0xFF01, 0xFF01, Meaning{More, "pending; optional keys were not used for matching"}},
	},
	CGet:  retrieveStatuses,
	CMove: retrieveStatuses,
}

// Meaning says what a status means in a service and what follows from it. A status that no row names is judged by
// its class.
func (s Status) Meaning(service Service) Meaning {
	for _, rows := range [...][]statusRow{statuses[service], commonStatuses} {
		for _, r := range rows {
			if r.from <= s && s <= r.to {
				return r.Meaning
			}
		}
	}
	switch s.Class() {
	case ClassWarning:
		if service == CGet || service == CMove {
			return Meaning{Incomplete, "an unknown warning"}
		}
		return Meaning{DoneNoted, "an unknown warning"}
	case ClassPending:
		return Meaning{More, "pending"}
	}
	return Meaning{Failed, "an unknown failure; look into the peer's log"}
}
