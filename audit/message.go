// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// The message of PS3.15 A.5.1.1. Attributes and elements are in the words of the schema.
type (
	auditMessage struct {
		XMLName      xml.Name      `xml:"AuditMessage"`
		Event        auditEvent    `xml:"EventIdentification"`
		Participants []participant `xml:"ActiveParticipant"`
		Source       auditSource   `xml:"AuditSourceIdentification"`
		Objects      []auditObject `xml:"ParticipantObjectIdentification"`
	}
	auditEvent struct {
		Action    string  `xml:"EventActionCode,attr"`
		DateTime  string  `xml:"EventDateTime,attr"`
		Outcome   string  `xml:"EventOutcomeIndicator,attr"`
		ID        coded   `xml:"EventID"`
		TypeCodes []coded `xml:"EventTypeCode"`
		Words     string  `xml:"EventOutcomeDescription,omitempty"`
	}
	coded struct {
		Code    string `xml:"csd-code,attr"`
		System  string `xml:"codeSystemName,attr"`
		Meaning string `xml:"originalText,attr"`
	}
	participant struct {
		UserID      string  `xml:"UserID,attr"`
		Alternative string  `xml:"AlternativeUserID,attr,omitempty"`
		IsRequestor bool    `xml:"UserIsRequestor,attr"`
		AccessPoint string  `xml:"NetworkAccessPointID,attr,omitempty"`
		AccessType  string  `xml:"NetworkAccessPointTypeCode,attr,omitempty"`
		Roles       []coded `xml:"RoleIDCode"`
		MediaType   *coded  `xml:"MediaIdentifier>MediaType,omitempty"`
	}
	auditSource struct {
		ID   string          `xml:"AuditSourceID,attr"`
		Type auditSourceType `xml:"AuditSourceTypeCode"`
	}
	auditSourceType struct {
		Code string `xml:"csd-code,attr"`
	}
	auditObject struct {
		ID          string        `xml:"ParticipantObjectID,attr"`
		Type        string        `xml:"ParticipantObjectTypeCode,attr"`
		Role        string        `xml:"ParticipantObjectTypeCodeRole,attr"`
		IDType      coded         `xml:"ParticipantObjectIDTypeCode"`
		Name        *string       `xml:"ParticipantObjectName"` // a name or a query
		Query       *string       `xml:"ParticipantObjectQuery"`
		Details     []valuePair   `xml:"ParticipantObjectDetail"`
		Description *objectDetail `xml:"ParticipantObjectDescription"`
	}
	valuePair struct {
		Type  string `xml:"type,attr"`
		Value string `xml:"value,attr"` // base 64
	}
	objectDetail struct {
		Anonymized bool `xml:"Anonymized"`
	}
)

// dcm is a code of the DICOM Controlled Terminology (PS3.16 annex D), rfc3881 one of RFC 3881.
func dcm(code, meaning string) coded     { return coded{code, "DCM", meaning} }
func rfc3881(code, meaning string) coded { return coded{code, "RFC-3881", meaning} }

// Codes of PS3.16 CID 400 to 405 and of PS3.15 A.5.3.
var (
	eventActivity    = dcm("110100", "Application Activity")
	eventLogUsed     = dcm("110101", "Audit Log Used")
	eventBegin       = dcm("110102", "Begin Transferring DICOM Instances")
	eventAccessed    = dcm("110103", "DICOM Instances Accessed")
	eventTransferred = dcm("110104", "DICOM Instances Transferred")
	eventExport      = dcm("110106", "Export")
	eventQuery       = dcm("110112", "Query")
	eventAlert       = dcm("110113", "Security Alert")
	eventLogin       = dcm("110114", "User Authentication")

	typeStart         = dcm("110120", "Application Start")
	typeStop          = dcm("110121", "Application Stop")
	typeLogin         = dcm("110122", "Login")
	typeLogout        = dcm("110123", "Logout")
	typeNetwork       = dcm("110128", "Network Configuration")
	typeSecurity      = dcm("110129", "Security Configuration")
	typeSoftware      = dcm("110131", "Software Configuration")
	typeRestricted    = dcm("110132", "Use of Restricted Function")
	typeSecurityRoles = dcm("110136", "Security Roles Changed")
	typeUserSecurity  = dcm("110137", "User Security Attributes Changed")

	roleApplication = dcm("110150", "Application")
	roleDestination = dcm("110152", "Destination Role ID")
	roleSource      = dcm("110153", "Source Role ID")
	roleMedia       = dcm("110154", "Destination Media")
	mediaURI        = dcm("110037", "URI")

	idStudy   = dcm("110180", "Study Instance UID")
	idClass   = dcm("110181", "SOP Class UID")
	idPatient = rfc3881("2", "Patient Number")
	idURI     = rfc3881("12", "URI")
)

// alerts says which Security Alert the acts on a resource are (PS3.15 A.5.3.11). Acts on resources that are not among
// them, such as jobs, have no event in the standard; the log alone has them.
var alerts = map[string]coded{
	"server": typeNetwork, "folder": typeNetwork, "schedule": typeNetwork, "workers": typeSoftware,
	"member":  typeSoftware,
	"project": typeSecurity, "profile": typeSecurity, "linkage": typeRestricted,
	"settings": typeSoftware, "announcement": typeSoftware, "mail": typeSoftware,
	"group": typeSecurityRoles, "rights": typeSecurityRoles, "access": typeSecurityRoles,
	"user": typeUserSecurity, "me": typeUserSecurity, "token": typeUserSecurity,
	"password": typeUserSecurity, "registration": typeUserSecurity,
}

// How an event ended, as the schema numbers it.
const (
	outcomeSuccess = "0"
	outcomeMinor   = "4"
	outcomeSerious = "8"
)

// message returns what the standard has to say of a row; false: nothing. host is the machine that reports it.
func message(r Row, host string) (auditMessage, bool) {
	resource, act, _ := strings.Cut(r.Action, ".")
	m := auditMessage{
		Event:  auditEvent{Action: "E", DateTime: r.At.UTC().Format(time.RFC3339Nano), Outcome: outcomeSuccess},
		Source: auditSource{ID: host, Type: auditSourceType{"4"}}, // application server
	}
	switch {
	case resource == "application":
		m.activity(r, host)
	case resource == "session":
		m.authentication(r, host, act)
	case r.Action == "audit.read":
		m.logUsed(r, host)
	case r.Action == ActSearch:
		m.query(r, host)
	case r.Action == ActRead, r.Action == ActDownload:
		m.access(r, host)
	case r.Action == ActBegin, r.Action == ActTransfer, r.Action == ActStoring, r.Action == ActStore:
		m.transfer(r, host)
	default:
		kind, ok := alerts[resource]
		if !ok {
			return m, false
		}
		m.Event.ID, m.Event.TypeCodes = eventAlert, []coded{kind}
		m.Participants = append(r.user(), adit(host))
		m.Objects = []auditObject{named("2", "13", idURI, objectURI(r.Object), r.Action)}
	}
	return m, true
}

// A.5.3.1
func (m *auditMessage) activity(r Row, host string) {
	m.Event.ID, m.Event.TypeCodes = eventActivity, []coded{typeStart}
	if r.Action == ActStop {
		m.Event.TypeCodes = []coded{typeStop}
	}
	m.Participants = []participant{adit(host)}
}

// A.5.3.2
func (m *auditMessage) logUsed(r Row, host string) {
	m.Event.ID, m.Event.Action = eventLogUsed, "R"
	m.Participants = append(r.user(), adit(host))
	m.Objects = []auditObject{named("2", "13", idURI, "adit:audit", "Security Audit Log")}
}

// A.5.3.12
func (m *auditMessage) authentication(r Row, host, act string) {
	m.Event.ID, m.Event.TypeCodes = eventLogin, []coded{typeLogin}
	switch act {
	case "end":
		m.Event.TypeCodes = []coded{typeLogout}
	case "refused":
		m.Event.Outcome = outcomeMinor
	}
	if r.Username == "" { // nobody was let in: whom they called themselves
		_, r.Username, _ = strings.Cut(r.Object, " ")
	}
	m.Participants = append(r.user(), adit(host))
}

// A.5.3.10. The row holds the identifier as it was sent.
func (m *auditMessage) query(r Row, host string) {
	var sent struct {
		Class  string `json:"sop_class"`
		Syntax string `json:"transfer_syntax"`
		Query  string `json:"query"`
	}
	_ = json.Unmarshal([]byte(r.Detail), &sent) // one that was tampered with has none
	m.Event.ID = eventQuery
	source, destination := adit(host), participant{UserID: r.Source, Roles: []coded{roleDestination}}
	source.Roles = []coded{roleSource}
	m.Participants = append(r.user(), source, destination)
	m.Objects = []auditObject{{
		ID: sent.Class, Type: "2", Role: "3", IDType: idClass, Query: &sent.Query,
		Details: []valuePair{{"TransferSyntax", base64.StdEncoding.EncodeToString([]byte(sent.Syntax))}},
	}}
}

// A.5.3.3, A.5.3.4 where the destination is a folder, A.5.3.7
func (m *auditMessage) transfer(r Row, host string) {
	var detail struct {
		Outcome string `json:"outcome"`
		Folder  bool   `json:"folder"`
	}
	_ = json.Unmarshal([]byte(r.Detail), &detail)
	source := participant{UserID: r.Source, Roles: []coded{roleSource}}
	if r.Source == "" { // who stores has it from their own machine
		source.UserID = r.Peer
	}
	destination := participant{UserID: r.Destination, Roles: []coded{roleDestination}}
	m.Event.ID = eventTransferred
	switch {
	case r.Action == ActBegin, r.Action == ActStoring:
		m.Event.ID = eventBegin
	case detail.Folder:
		m.Event.ID, m.Event.Action = eventExport, "R"
		destination.Roles, destination.MediaType = []coded{roleMedia}, &mediaURI
	default:
		m.Event.Action = "C"
	}
	switch detail.Outcome {
	case "", "success":
	case "failure":
		m.Event.Outcome, m.Event.Words = outcomeSerious, "not all instances were transferred"
	default:
		m.Event.Outcome, m.Event.Words = outcomeMinor, detail.Outcome
	}
	m.Participants = append([]participant{source, destination}, append(r.user(), adit(host))...)
	m.Objects = r.studyAndPatient()
}

// A.5.3.5
func (m *auditMessage) access(r Row, host string) {
	m.Event.ID, m.Event.Action = eventAccessed, "R"
	m.Participants = append(r.user(), adit(host))
	m.Objects = r.studyAndPatient()
}

func (r Row) studyAndPatient() []auditObject {
	study := named("2", "3", idStudy, r.StudyUID, r.StudyUID)
	study.Description = &objectDetail{Anonymized: r.Profile != ""}
	return []auditObject{study, named("1", "1", idPatient, r.PatientID, r.PatientID)}
}

// named is an object with a name, which the schema wants where there is no query.
func named(kind, role string, idType coded, id, name string) auditObject {
	return auditObject{ID: id, Type: kind, Role: role, IDType: idType, Name: &name}
}

func objectURI(object string) string {
	kind, name, _ := strings.Cut(object, " ")
	return "adit:" + url.PathEscape(kind) + "/" + url.PathEscape(name)
}

// user is who acted, if anybody did.
func (r Row) user() []participant {
	if r.Username == "" && r.Peer == "" {
		return nil
	}
	p := participant{UserID: r.Username, Alternative: fmt.Sprint(r.UserID), IsRequestor: true, AccessPoint: r.Peer}
	if p.AccessPoint != "" {
		p.AccessType = "1" // name of a machine
		if _, err := netip.ParseAddr(p.AccessPoint); err == nil {
			p.AccessType = "2"
		}
	}
	return []participant{p}
}

// adit is the process that did it.
func adit(host string) participant {
	return participant{UserID: "adit", AccessPoint: host, AccessType: "1", Roles: []coded{roleApplication}}
}
