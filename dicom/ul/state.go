// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import "fmt"

// A State of the association as PS3.8 9.2.1 names it.
type State int

// The states of PS3.8 tables 9-1 to 9-5.
const (
	Sta1  State = iota + 1 // idle
	Sta2                   // transport open, awaiting A-ASSOCIATE-RQ
	Sta3                   // awaiting the local answer to it
	Sta4                   // awaiting the transport to open
	Sta5                   // awaiting A-ASSOCIATE-AC or -RJ
	Sta6                   // association established, ready for data
	Sta7                   // awaiting A-RELEASE-RP
	Sta8                   // awaiting the local A-RELEASE response
	Sta9                   // release collision, requestor: awaiting the local A-RELEASE response
	Sta10                  // release collision, acceptor: awaiting A-RELEASE-RP
	Sta11                  // release collision, requestor: awaiting A-RELEASE-RP
	Sta12                  // release collision, acceptor: awaiting the local A-RELEASE response
	Sta13                  // awaiting the transport to close
)

func (s State) String() string { return fmt.Sprintf("Sta%d", int(s)) }

// An Event of PS3.8 table 9-10.
type Event int

// The events of PS3.8 table 9-10, in its order.
const (
	Evt1  Event = iota + 1 // A-ASSOCIATE request (local user)
	Evt2                   // transport connection confirmed
	Evt3                   // A-ASSOCIATE-AC PDU
	Evt4                   // A-ASSOCIATE-RJ PDU
	Evt5                   // transport connection indicated
	Evt6                   // A-ASSOCIATE-RQ PDU
	Evt7                   // A-ASSOCIATE response, accept (local user)
	Evt8                   // A-ASSOCIATE response, reject (local user)
	Evt9                   // P-DATA request (local user)
	Evt10                  // P-DATA-TF PDU
	Evt11                  // A-RELEASE request (local user)
	Evt12                  // A-RELEASE-RQ PDU
	Evt13                  // A-RELEASE-RP PDU
	Evt14                  // A-RELEASE response (local user)
	Evt15                  // A-ABORT request (local user)
	Evt16                  // A-ABORT PDU
	Evt17                  // transport connection closed
	Evt18                  // ARTIM timer expired
	Evt19                  // unrecognized or invalid PDU
)

func (e Event) String() string { return fmt.Sprintf("Evt%d", int(e)) }

// An Action of PS3.8 tables 9-6 to 9-9. None stands for the empty cells of table 9-10.
type Action int

// The actions of PS3.8 tables 9-6 to 9-9.
const (
	None Action = iota
	AE1         // open the transport
	AE2         // send A-ASSOCIATE-RQ
	AE3         // confirm: accepted
	AE4         // confirm: rejected, close the transport
	AE5         // start ARTIM
	AE6         // stop ARTIM; indicate the request, or reject it
	AE7         // send A-ASSOCIATE-AC
	AE8         // send A-ASSOCIATE-RJ, start ARTIM
	DT1         // send P-DATA-TF
	DT2         // indicate P-DATA
	AR1         // send A-RELEASE-RQ
	AR2         // indicate A-RELEASE
	AR3         // confirm A-RELEASE, close the transport
	AR4         // send A-RELEASE-RP, start ARTIM
	AR5         // stop ARTIM
	AR6         // indicate P-DATA during release
	AR7         // send P-DATA-TF during release
	AR8         // indicate A-RELEASE: release collision
	AR9         // send A-RELEASE-RP during collision
	AR10        // confirm A-RELEASE during collision
	AA1         // send A-ABORT (user), (re)start ARTIM
	AA2         // stop ARTIM, close the transport
	AA3         // indicate A-ABORT, close the transport
	AA4         // indicate A-P-ABORT
	AA5         // stop ARTIM
	AA6         // ignore the PDU
	AA7         // send A-ABORT
	AA8         // send A-ABORT (provider), indicate A-P-ABORT, start ARTIM
)

var actionNames = [...]string{
	"none", "AE-1", "AE-2", "AE-3", "AE-4", "AE-5", "AE-6", "AE-7", "AE-8", "DT-1", "DT-2",
	"AR-1", "AR-2", "AR-3", "AR-4", "AR-5", "AR-6", "AR-7", "AR-8", "AR-9", "AR-10",
	"AA-1", "AA-2", "AA-3", "AA-4", "AA-5", "AA-6", "AA-7", "AA-8",
}

func (a Action) String() string { return actionNames[a] }

// stateTable is PS3.8 table 9-10: event × state → action.
var stateTable = [Evt19 + 1][Sta13 + 1]Action{
	Evt1: {Sta1: AE1},
	Evt2: {Sta4: AE2},
	Evt3: {
		Sta2: AA1, Sta3: AA8, Sta5: AE3, Sta6: AA8, Sta7: AA8, Sta8: AA8, Sta9: AA8, Sta10: AA8, Sta11: AA8,
		Sta12: AA8, Sta13: AA6,
	},
	Evt4: {
		Sta2: AA1, Sta3: AA8, Sta5: AE4, Sta6: AA8, Sta7: AA8, Sta8: AA8, Sta9: AA8, Sta10: AA8, Sta11: AA8,
		Sta12: AA8, Sta13: AA6,
	},
	Evt5: {Sta1: AE5},
	Evt6: {
		Sta2: AE6, Sta3: AA8, Sta5: AA8, Sta6: AA8, Sta7: AA8, Sta8: AA8, Sta9: AA8, Sta10: AA8, Sta11: AA8,
		Sta12: AA8, Sta13: AA7,
	},
	Evt7: {Sta3: AE7},
	Evt8: {Sta3: AE8},
	Evt9: {Sta6: DT1, Sta8: AR7},
	Evt10: {
		Sta2: AA1, Sta3: AA8, Sta5: AA8, Sta6: DT2, Sta7: AR6, Sta8: AA8, Sta9: AA8, Sta10: AA8, Sta11: AA8,
		Sta12: AA8, Sta13: AA6,
	},
	Evt11: {Sta6: AR1},
	Evt12: {
		Sta2: AA1, Sta3: AA8, Sta5: AA8, Sta6: AR2, Sta7: AR8, Sta8: AA8, Sta9: AA8, Sta10: AA8, Sta11: AA8,
		Sta12: AA8, Sta13: AA6,
	},
	Evt13: {
		Sta2: AA1, Sta3: AA8, Sta5: AA8, Sta6: AA8, Sta7: AR3, Sta8: AA8, Sta9: AA8, Sta10: AR10, Sta11: AR3,
		Sta12: AA8, Sta13: AA6,
	},
	Evt14: {Sta8: AR4, Sta9: AR9, Sta12: AR4},
	Evt15: {
		Sta3: AA1, Sta4: AA2, Sta5: AA1, Sta6: AA1, Sta7: AA1, Sta8: AA1, Sta9: AA1, Sta10: AA1, Sta11: AA1,
		Sta12: AA1,
	},
	Evt16: {
		Sta2: AA2, Sta3: AA3, Sta5: AA3, Sta6: AA3, Sta7: AA3, Sta8: AA3, Sta9: AA3, Sta10: AA3, Sta11: AA3,
		Sta12: AA3, Sta13: AA2,
	},
	Evt17: {
		Sta2: AA5, Sta3: AA4, Sta4: AA4, Sta5: AA4, Sta6: AA4, Sta7: AA4, Sta8: AA4, Sta9: AA4, Sta10: AA4,
		Sta11: AA4, Sta12: AA4, Sta13: AR5,
	},
	Evt18: {Sta2: AA2, Sta13: AA2},
	Evt19: {
		Sta2: AA1, Sta3: AA8, Sta5: AA8, Sta6: AA8, Sta7: AA8, Sta8: AA8, Sta9: AA8, Sta10: AA8, Sta11: AA8,
		Sta12: AA8, Sta13: AA7,
	},
}

// nextState is the state that an action ends in (PS3.8 tables 9-6 to 9-9). AR-8 depends on the role; AE-6 rejects
// nothing by itself here: the user's answer (Evt7, Evt8) decides.
var nextState = [AA8 + 1]State{
	AE1: Sta4, AE2: Sta5, AE3: Sta6, AE4: Sta1, AE5: Sta2, AE6: Sta3, AE7: Sta6, AE8: Sta13,
	DT1: Sta6, DT2: Sta6,
	AR1: Sta7, AR2: Sta8, AR3: Sta1, AR4: Sta13, AR5: Sta1, AR6: Sta7, AR7: Sta8, AR8: Sta9, AR9: Sta11, AR10: Sta12,
	AA1: Sta13, AA2: Sta1, AA3: Sta1, AA4: Sta1, AA5: Sta1, AA6: Sta13, AA7: Sta13, AA8: Sta13,
}

// eventOf maps an arriving PDU to its event.
func eventOf(t PDUType) Event {
	switch t {
	case TypeAssociateRQ:
		return Evt6
	case TypeAssociateAC:
		return Evt3
	case TypeAssociateRJ:
		return Evt4
	case TypePDataTF:
		return Evt10
	case TypeReleaseRQ:
		return Evt12
	case TypeReleaseRP:
		return Evt13
	case TypeAbort:
		return Evt16
	}
	return Evt19
}

// machine is the association state machine (PS3.8 9.2). The zero value is not ready: use newMachine.
type machine struct {
	state    State
	acceptor bool
}

func newMachine(acceptor bool) machine { return machine{Sta1, acceptor} }

// step takes an event and returns the action to perform, None (and no change) where table 9-10 has an empty cell.
func (m *machine) step(e Event) Action {
	a := stateTable[e][m.state]
	if a == None {
		return None
	}
	m.state = nextState[a]
	if a == AR8 && m.acceptor {
		m.state = Sta10
	}
	return a
}
