// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"fmt"
	"io"
	"time"

	"github.com/adit-go/adit/http"
)

// Config says how a server runs. A field is set by the flag of `adit serve` that has its name, and whose help says what
// it means. What can't be used is refused in a sentence that names this flag.
type Config struct {
	DataDir            string
	SecretKeyFile      string // empty: the one of the data directory
	DatabaseURL        string // empty: the embedded PostgreSQL
	FolderRoots        []string
	Demo               bool
	HTTP               HTTPConfig
	Receiver           ReceiverConfig
	Site               SiteConfig
	Audit              AuditConfig
	Log                LogConfig
	Cluster            ClusterConfig
	Workers            int
	ExcludedModalities []string
	ShutdownTimeout    time.Duration
	Lease              time.Duration

	About   http.About    // the program that this is
	LogTo   io.Writer     // where is logged
	LogText bool          // for people, not for programs
	Started func(Running) // called once, when the server is ready
}

// HTTPConfig says where and how the REST API is served.
type HTTPConfig struct {
	Listen         string
	TLSCert        string
	TLSKey         string
	PublicURL      string
	TrustedProxies []string
	CORSOrigins    []string
	SeriesCacheGB  float64
	AdminListen    string
}

// ReceiverConfig says where and how the receiver takes the objects that servers send.
type ReceiverConfig struct {
	DICOMListen    string
	DICOMTLSListen string
	DICOMTLSCert   string
	DICOMTLSKey    string
	DICOMTLSCA     string
	DICOMProxy     []string
	Quarantine     time.Duration
	AETitle        string
	PlainAETitle   string
}

// SiteConfig says where the site is, and how its mails go out.
type SiteConfig struct {
	TimeZone         string
	SMTPHost         string
	SMTPPort         int
	SMTPTLS          string
	SMTPUser         string
	SMTPPasswordFile string
	MailFrom         string
}

// AuditConfig says where audit messages go.
type AuditConfig struct {
	AuditSyslog     string
	AuditSyslogCA   string
	AuditSyslogCert string
	AuditSyslogKey  string
}

// ClusterConfig makes the server a member of a cluster.
type ClusterConfig struct {
	Cluster              bool
	Roles                []string
	MemberName           string
	ClusterListen        string
	ClusterAdvertise     string
	ClusterDataListen    string
	ClusterDataAdvertise string
	ClusterCA            string
	ClusterCert          string
	ClusterKey           string
}

// LogConfig says what is logged.
type LogConfig struct {
	LogLevel     string
	LogLevelFile string
}

// Running is a server that is ready, for code that announces it.
type Running struct {
	URL       string // where people find it; empty: it does not serve them
	LocalURL  string // where the commands of this machine find it
	Member    string // its name
	Roles     []string
	DICOMAddr string // of the receiver; empty: there is none
	Token     string // the administrator's, if it was made at this start; not to be logged
	TokenFile string // where it is kept, if it still opens something
	// WelcomeURL is where the administrator chooses the first password; empty: somebody has one. Not to be logged.
	WelcomeURL string
	Demo       *Demo
}

// Demo describes the demo.
type Demo struct {
	Username, Password          string // to log in by; empty: somebody chose another password. Not to be logged
	Source, Target              string // its PACS
	PatientID, StudyInstanceUID string // of a study that only the source has
}

// UsageError says that the value of a flag is unusable.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }

func (e *UsageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }
