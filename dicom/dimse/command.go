// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dimse is the DICOM Message Exchange (PS3.7): command sets and their statuses, and the services C-ECHO,
// C-FIND, C-GET, C-MOVE and C-STORE as user (SCU) and as provider (SCP). Data sets are streamed: no instance is held in
// memory.
package dimse

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// CommandField names the message (PS3.7 E.1-1). Responses have the highest bit set.
type CommandField uint16

// The command fields of PS3.7 table E.1-1.
const (
	CStoreRQ        CommandField = 0x0001
	CStoreRSP       CommandField = 0x8001
	CGetRQ          CommandField = 0x0010
	CGetRSP         CommandField = 0x8010
	CFindRQ         CommandField = 0x0020
	CFindRSP        CommandField = 0x8020
	CMoveRQ         CommandField = 0x0021
	CMoveRSP        CommandField = 0x8021
	CEchoRQ         CommandField = 0x0030
	CEchoRSP        CommandField = 0x8030
	NEventReportRQ  CommandField = 0x0100
	NEventReportRSP CommandField = 0x8100
	NActionRQ       CommandField = 0x0130
	NActionRSP      CommandField = 0x8130
	CCancelRQ       CommandField = 0x0FFF
)

// responseBit turns a request's command field into that of its response.
const responseBit CommandField = 0x8000

// Response distinguishes a response from a request.
func (f CommandField) Response() bool { return f&responseBit != 0 }

func (f CommandField) String() string {
	switch f {
	case CStoreRQ:
		return "C-STORE-RQ"
	case CStoreRSP:
		return "C-STORE-RSP"
	case CGetRQ:
		return "C-GET-RQ"
	case CGetRSP:
		return "C-GET-RSP"
	case CFindRQ:
		return "C-FIND-RQ"
	case CFindRSP:
		return "C-FIND-RSP"
	case CMoveRQ:
		return "C-MOVE-RQ"
	case CMoveRSP:
		return "C-MOVE-RSP"
	case CEchoRQ:
		return "C-ECHO-RQ"
	case CEchoRSP:
		return "C-ECHO-RSP"
	case NEventReportRQ:
		return "N-EVENT-REPORT-RQ"
	case NEventReportRSP:
		return "N-EVENT-REPORT-RSP"
	case NActionRQ:
		return "N-ACTION-RQ"
	case NActionRSP:
		return "N-ACTION-RSP"
	case CCancelRQ:
		return "C-CANCEL-RQ"
	}
	return fmt.Sprintf("command 0x%04X", uint16(f))
}

// Priority of a request (PS3.7 9.1). Few servers heed it.
type Priority uint16

// The priorities of PS3.7 table E.1-1.
const (
	PriorityMedium Priority = 0
	PriorityHigh   Priority = 1
	PriorityLow    Priority = 2
)

// Count is a number of sub-operations that a response may carry or leave out.
type Count struct {
	Value   int
	Present bool
}

// Counted is a count that is present.
func Counted(n int) Count { return Count{n, true} }

// Counts are the sub-operation counters of C-GET and C-MOVE responses (PS3.7 9.1.3).
type Counts struct {
	Remaining, Completed, Failed, Warning Count
}

// Command is a command set (PS3.7 6.3.1). Which fields have a meaning depends on Field.
type Command struct {
	Field                   CommandField
	MessageID               uint16 // of a request
	MessageIDRespondedTo    uint16 // of a response, and of C-CANCEL-RQ
	AffectedSOPClassUID     string
	RequestedSOPClassUID    string
	AffectedSOPInstanceUID  string
	RequestedSOPInstanceUID string
	Priority                Priority
	DataSet                 bool // a data set follows
	Status                  Status
	ErrorComment            string // may hold patient data of the peer: never log it
	ErrorID                 uint16
	OffendingElements       []uint32 // tags, group in the upper half
	MoveDestination         string
	MoveOriginatorAETitle   string
	MoveOriginatorMessageID uint16
	EventTypeID             uint16
	ActionTypeID            uint16
	Counts
}

// The elements of group 0000 (PS3.7 E.1).
const (
	elGroupLength             = 0x0000
	elAffectedSOPClassUID     = 0x0002
	elRequestedSOPClassUID    = 0x0003
	elCommandField            = 0x0100
	elMessageID               = 0x0110
	elMessageIDRespondedTo    = 0x0120
	elMoveDestination         = 0x0600
	elPriority                = 0x0700
	elCommandDataSetType      = 0x0800
	elStatus                  = 0x0900
	elOffendingElement        = 0x0901
	elErrorComment            = 0x0902
	elErrorID                 = 0x0903
	elAffectedSOPInstanceUID  = 0x1000
	elRequestedSOPInstanceUID = 0x1001
	elEventTypeID             = 0x1002
	elActionTypeID            = 0x1008
	elRemaining               = 0x1020
	elCompleted               = 0x1021
	elFailed                  = 0x1022
	elWarning                 = 0x1023
	elMoveOriginatorAETitle   = 0x1030
	elMoveOriginatorMessageID = 0x1031
)

const (
	noDataSet   = 0x0101
	withDataSet = 0x0001

	// maxCommand bounds a command set. The largest legal ones (a few UIDs, a comment of 64 characters, a list of
	// offending elements) stay far below.
	maxCommand = 16 << 10
)

// Append appends the encoded command set: group 0000, Implicit VR Little Endian, elements in order.
func (c *Command) Append(b []byte) []byte {
	start := len(b)
	b = appendElement(b, elGroupLength, 4)
	b = append(b, 0, 0, 0, 0)
	b = appendUID(b, elAffectedSOPClassUID, c.AffectedSOPClassUID)
	b = appendUID(b, elRequestedSOPClassUID, c.RequestedSOPClassUID)
	b = appendUS(b, elCommandField, uint16(c.Field))
	if !c.Field.Response() && c.Field != CCancelRQ {
		b = appendUS(b, elMessageID, c.MessageID)
	} else {
		b = appendUS(b, elMessageIDRespondedTo, c.MessageIDRespondedTo)
	}
	b = appendAE(b, elMoveDestination, c.MoveDestination)
	switch c.Field {
	case CStoreRQ, CFindRQ, CGetRQ, CMoveRQ:
		b = appendUS(b, elPriority, uint16(c.Priority))
	}
	if c.DataSet {
		b = appendUS(b, elCommandDataSetType, withDataSet)
	} else {
		b = appendUS(b, elCommandDataSetType, noDataSet)
	}
	if c.Field.Response() {
		b = c.appendStatus(b)
	}
	b = appendUID(b, elAffectedSOPInstanceUID, c.AffectedSOPInstanceUID)
	b = appendUID(b, elRequestedSOPInstanceUID, c.RequestedSOPInstanceUID)
	b = c.appendTypeIDs(b)
	b = appendCount(b, elRemaining, c.Remaining)
	b = appendCount(b, elCompleted, c.Completed)
	b = appendCount(b, elFailed, c.Failed)
	b = appendCount(b, elWarning, c.Warning)
	if c.MoveOriginatorAETitle != "" {
		b = appendAE(b, elMoveOriginatorAETitle, c.MoveOriginatorAETitle)
		b = appendUS(b, elMoveOriginatorMessageID, c.MoveOriginatorMessageID)
	}
	binary.LittleEndian.PutUint32(b[start+8:], uint32(len(b)-start-12))
	return b
}

func (c *Command) appendStatus(b []byte) []byte {
	b = appendUS(b, elStatus, uint16(c.Status))
	if n := len(c.OffendingElements); n > 0 {
		b = appendElement(b, elOffendingElement, 4*n)
		for _, t := range c.OffendingElements {
			b = binary.LittleEndian.AppendUint16(b, uint16(t>>16))
			b = binary.LittleEndian.AppendUint16(b, uint16(t))
		}
	}
	if c.ErrorComment != "" {
		b = appendText(b, elErrorComment, c.ErrorComment, ' ')
	}
	if c.ErrorID != 0 {
		b = appendUS(b, elErrorID, c.ErrorID)
	}
	return b
}

func (c *Command) appendTypeIDs(b []byte) []byte {
	switch c.Field {
	case NEventReportRQ, NEventReportRSP:
		b = appendUS(b, elEventTypeID, c.EventTypeID)
	case NActionRQ, NActionRSP:
		b = appendUS(b, elActionTypeID, c.ActionTypeID)
	}
	return b
}

func appendElement(b []byte, element uint16, n int) []byte {
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, element)
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}

func appendUS(b []byte, element, v uint16) []byte {
	b = appendElement(b, element, 2)
	return binary.LittleEndian.AppendUint16(b, v)
}

func appendText(b []byte, element uint16, s string, pad byte) []byte {
	b = appendElement(b, element, len(s)+len(s)&1)
	b = append(b, s...)
	if len(s)&1 == 1 {
		b = append(b, pad)
	}
	return b
}

func appendUID(b []byte, element uint16, uid string) []byte {
	if uid == "" {
		return b
	}
	return appendText(b, element, uid, 0)
}

func appendAE(b []byte, element uint16, ae string) []byte {
	if ae == "" {
		return b
	}
	return appendText(b, element, ae, ' ')
}

func appendCount(b []byte, element uint16, c Count) []byte {
	if !c.Present {
		return b
	}
	return appendUS(b, element, uint16(c.Value))
}

// DecodeCommand decodes a command set. Elements that it does not know are skipped, and so are those of other groups,
// though a command set has none: DCMTK, also inside Orthanc, appends Failed SOP Instance UID List (0008,0058) to the
// C-GET responses that have one. A value too short for its field, an element cut short and a missing Command Field are
// errors.
func DecodeCommand(b []byte) (*Command, error) {
	c := &Command{DataSet: true}
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, fmt.Errorf("the command set ends inside the header of an element")
		}
		group, element := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		n := int64(binary.LittleEndian.Uint32(b[4:]))
		if n > int64(len(b)-8) {
			return nil, fmt.Errorf(
				"element (%04X,%04X) of the command set has %d bytes where %d are left", group, element, n, len(b)-8,
			)
		}
		v := b[8 : 8+n]
		b = b[8+n:]
		if group != 0 {
			continue
		}
		if err := c.decodeElement(element, v); err != nil {
			return nil, err
		}
	}
	if c.Field == 0 {
		return nil, fmt.Errorf("the command set has no Command Field (0000,0100)")
	}
	return c, nil
}

func (c *Command) decodeElement(element uint16, v []byte) error {
	if p := c.textField(element); p != nil {
		*p = strings.Trim(string(v), " \x00")
		return nil
	}
	if element == elOffendingElement {
		for ; len(v) >= 4; v = v[4:] {
			t := uint32(binary.LittleEndian.Uint16(v))<<16 | uint32(binary.LittleEndian.Uint16(v[2:]))
			c.OffendingElements = append(c.OffendingElements, t)
		}
		return nil
	}
	set := c.numberField(element)
	if set == nil {
		return nil
	}
	if len(v) == 0 && element != elCommandField && element != elStatus {
		return nil // an empty value is as good as none
	}
	if len(v) < 2 {
		return fmt.Errorf("element (0000,%04X) of the command set has %d bytes instead of 2", element, len(v))
	}
	set(binary.LittleEndian.Uint16(v))
	return nil
}

func (c *Command) textField(element uint16) *string {
	switch element {
	case elAffectedSOPClassUID:
		return &c.AffectedSOPClassUID
	case elRequestedSOPClassUID:
		return &c.RequestedSOPClassUID
	case elAffectedSOPInstanceUID:
		return &c.AffectedSOPInstanceUID
	case elRequestedSOPInstanceUID:
		return &c.RequestedSOPInstanceUID
	case elMoveDestination:
		return &c.MoveDestination
	case elMoveOriginatorAETitle:
		return &c.MoveOriginatorAETitle
	case elErrorComment:
		return &c.ErrorComment
	}
	return nil
}

func (c *Command) numberField(element uint16) func(uint16) {
	switch element {
	case elCommandField:
		return func(v uint16) { c.Field = CommandField(v) }
	case elMessageID:
		return func(v uint16) { c.MessageID = v }
	case elMessageIDRespondedTo:
		return func(v uint16) { c.MessageIDRespondedTo = v }
	case elPriority:
		return func(v uint16) { c.Priority = Priority(v) }
	case elCommandDataSetType:
		return func(v uint16) { c.DataSet = v != noDataSet }
	case elStatus:
		return func(v uint16) { c.Status = Status(v) }
	case elErrorID:
		return func(v uint16) { c.ErrorID = v }
	case elMoveOriginatorMessageID:
		return func(v uint16) { c.MoveOriginatorMessageID = v }
	case elEventTypeID:
		return func(v uint16) { c.EventTypeID = v }
	case elActionTypeID:
		return func(v uint16) { c.ActionTypeID = v }
	case elRemaining:
		return func(v uint16) { c.Remaining = Counted(int(v)) }
	case elCompleted:
		return func(v uint16) { c.Completed = Counted(int(v)) }
	case elFailed:
		return func(v uint16) { c.Failed = Counted(int(v)) }
	case elWarning:
		return func(v uint16) { c.Warning = Counted(int(v)) }
	}
	return nil
}
