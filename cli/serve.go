// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/server"
)

type serveCmd struct {
	DataDir string `env:"ADIT_DATA_DIR" type:"path" default:"${data_dir}" placeholder:"DIR" help:"Directory of the server key and the embedded database (${default}; with --demo ${demo_dir})."`
	httpFlags
	logFlags
	receiverFlags
	siteFlags
	auditFlags
	clusterFlags
	DatabaseURL        string        `name:"database-url" env:"ADIT_DATABASE_URL" placeholder:"URL" help:"PostgreSQL 15 or later to use instead of the embedded one. If the URL holds a password, set it in the environment."`
	SecretKeyFile      string        `env:"ADIT_SECRET_KEY_FILE" type:"path" placeholder:"FILE" help:"File of the server key, if it is not DIR/secret.key."`
	FolderRoots        []string      `name:"folder-root" env:"ADIT_FOLDER_ROOT" type:"path" sep:"," placeholder:"DIR,…" help:"Directories in which staff may add folders. Default: DIR/folders. Superusers may add folders elsewhere, but nobody may where ADIT keeps its own data."`
	Demo               bool          `env:"ADIT_DEMO" help:"Start three demo PACS with studies of phantoms, and jobs to look at. The demo has its own data directory; delete it to remove the demo."`
	Workers            int           `env:"ADIT_WORKERS" default:"8" placeholder:"N" help:"Number of tasks that run at once (${default})."`
	ExcludedModalities []string      `env:"ADIT_EXCLUDED_MODALITIES" default:"PR,SR" placeholder:"M,…" help:"Modalities whose series are left out of pseudonymized studies (${default}); empty: none."`
	ShutdownTimeout    time.Duration `env:"ADIT_SHUTDOWN_TIMEOUT" default:"30s" placeholder:"D" help:"How long running tasks may take to stop between two series when the server shuts down (${default})."`
	Lease              time.Duration `env:"ADIT_LEASE" default:"15s" hidden:""`
}

// httpFlags say where and how the REST API is served.
type httpFlags struct {
	Listen         string   `env:"ADIT_LISTEN" default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address of the REST API (${default})."`
	TLSCert        string   `name:"tls-cert" env:"ADIT_TLS_CERT" type:"path" placeholder:"FILE" help:"PEM file with the certificate for HTTPS and its intermediate certificates. Reloaded on SIGHUP."`
	TLSKey         string   `name:"tls-key" env:"ADIT_TLS_KEY" type:"path" placeholder:"FILE" help:"PEM file with the private key of the certificate, without a password."`
	PublicURL      string   `name:"public-url" env:"ADIT_PUBLIC_URL" placeholder:"URL" help:"Address that people use, such as https://adit.example.org. Links in mails begin with it, and requests for other host names are refused. Without it, ADIT answers to addresses, localhost and this machine's name, and over HTTPS to any name."`
	TrustedProxies []string `env:"ADIT_TRUSTED_PROXIES" placeholder:"ADDR,…" help:"Addresses or ranges of proxies in front of ADIT. Only from these does ADIT believe X-Forwarded-For, -Proto and -Host, and Forwarded."`
	CORSOrigins    []string `name:"cors-origins" env:"ADIT_CORS_ORIGINS" placeholder:"URL,…" help:"Addresses of viewers in a browser, such as https://viewer.example.org, whose pages may use DICOMweb (docs/dicomweb.md). Default: none."`
	SeriesCacheGB  float64  `name:"series-cache" env:"ADIT_SERIES_CACHE" default:"10" placeholder:"GB" help:"Room in DIR/series-cache, in GB, for series that somebody reads by DICOMweb (${default})."`
	AdminListen    string   `env:"ADIT_ADMIN_LISTEN" placeholder:"ADDR" help:"Address of /metrics and /debug/pprof/, such as 127.0.0.1:9464. Default: the UNIX socket DIR/admin.sock. An address that other machines can reach has no pprof. \"none\": neither."`
}

// logFlags say what is logged.
type logFlags struct {
	LogLevel     string `env:"ADIT_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Log level: debug, info, warn or error (${default})."`
	LogLevelFile string `env:"ADIT_LOG_LEVEL_FILE" type:"path" placeholder:"FILE" help:"File that holds the log level. If it exists, it overrides --log-level. Read at the start and on SIGHUP."`
}

// receiverFlags say where and how the receiver takes the objects that servers send.
type receiverFlags struct {
	DICOMListen    string        `name:"dicom-listen" env:"ADIT_DICOM_LISTEN" default:":11112" placeholder:"ADDR" help:"Address of the DICOM receiver, to which servers send by C-MOVE (${default}; with --demo 127.0.0.1:11112); empty: none. Only servers that ADIT knows may call."`
	DICOMTLSListen string        `name:"dicom-tls-listen" env:"ADIT_DICOM_TLS_LISTEN" placeholder:"ADDR" help:"Address of the DICOM receiver with TLS, such as :2762. Needs the next three flags."`
	DICOMTLSCert   string        `name:"dicom-tls-cert" env:"ADIT_DICOM_TLS_CERT" type:"path" placeholder:"FILE" help:"PEM file with the receiver's certificate."`
	DICOMTLSKey    string        `name:"dicom-tls-key" env:"ADIT_DICOM_TLS_KEY" type:"path" placeholder:"FILE" help:"PEM file with the private key of the certificate, without a password."`
	DICOMTLSCA     string        `name:"dicom-tls-ca" env:"ADIT_DICOM_TLS_CA" type:"path" placeholder:"FILE" help:"PEM file with the authorities that sign the servers' certificates."`
	DICOMProxy     []string      `name:"dicom-proxy" env:"ADIT_DICOM_PROXY" placeholder:"ADDR,…" help:"Addresses or ranges of load balancers in front of the receiver that speak the PROXY protocol, version 2."`
	Quarantine     time.Duration `env:"ADIT_QUARANTINE" placeholder:"D" help:"Keep unrequested objects in DIR/quarantine for this long, such as 168h; at most 10 GB. The sender is refused all the same. Default: off."`
	AETitle        string        `name:"ae-title" env:"ADIT_AE_TITLE" default:"ADIT" placeholder:"AET" help:"ADIT's own AE title (${default}). Under it ADIT calls, and receives objects as they are stored."`
	PlainAETitle   string        `name:"plain-ae-title" env:"ADIT_PLAIN_AE_TITLE" default:"ADIT_LE" placeholder:"AET" help:"AE title under which ADIT receives only uncompressed objects (${default})."`
}

// siteFlags say where the site is, and how its mails go out.
type siteFlags struct {
	TimeZone         string `name:"timezone" env:"ADIT_TIMEZONE" default:"UTC" placeholder:"ZONE" help:"Time zone of the site, such as Europe/Berlin (${default}), for the daily clean-up and for statistics by day."`
	SMTPHost         string `name:"smtp-host" env:"ADIT_SMTP_HOST" placeholder:"HOST" help:"Mail server. Without one, mails wait and are given up after some days."`
	SMTPPort         int    `name:"smtp-port" env:"ADIT_SMTP_PORT" placeholder:"PORT" help:"Port of the mail server. Default: 587, 465 or 25, depending on --smtp-tls."`
	SMTPTLS          string `name:"smtp-tls" env:"ADIT_SMTP_TLS" enum:"starttls,tls,none" default:"starttls" help:"starttls (default): nothing is sent before TLS has begun; tls: TLS from the first byte; none."`
	SMTPUser         string `name:"smtp-user" env:"ADIT_SMTP_USER" placeholder:"NAME" help:"Username at the mail server; empty: no login."`
	SMTPPasswordFile string `name:"smtp-password-file" env:"ADIT_SMTP_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"File with the password at the mail server."`
	MailFrom         string `name:"mail-from" env:"ADIT_MAIL_FROM" placeholder:"ADDRESS" help:"Sender of mails, such as adit@example.org or 'ADIT <adit@example.org>'. Required with --smtp-host."`
}

// auditFlags say where audit messages go.
type auditFlags struct {
	AuditSyslog     string `env:"ADIT_AUDIT_SYSLOG" placeholder:"HOST:PORT" help:"Receiver of audit messages (DICOM PS3.15 A.5, syslog over TLS). It gets all new messages in order, each at least once."`
	AuditSyslogCA   string `name:"audit-syslog-ca" env:"ADIT_AUDIT_SYSLOG_CA" type:"path" placeholder:"FILE" help:"PEM file with the authorities that sign its certificate. Default: the system's."`
	AuditSyslogCert string `env:"ADIT_AUDIT_SYSLOG_CERT" type:"path" placeholder:"FILE" help:"PEM file with the certificate that ADIT presents to it."`
	AuditSyslogKey  string `env:"ADIT_AUDIT_SYSLOG_KEY" type:"path" placeholder:"FILE" help:"PEM file with the private key of the certificate, without a password."`
}

// clusterFlags make the server a member of a cluster.
type clusterFlags struct {
	Cluster              bool     `env:"ADIT_CLUSTER" help:"Work together with the other members on the same database (docs/cluster.md). Needs --database-url and certificates (adit cluster init-ca)."`
	Roles                []string `env:"ADIT_ROLES" default:"web,worker,receiver" placeholder:"ROLE,…" help:"What this member of a cluster is for: web serves people and the REST API, worker runs tasks, receiver takes what servers send (${default})."`
	MemberName           string   `env:"ADIT_MEMBER_NAME" placeholder:"NAME" help:"Name of this member. Default: the machine's."`
	ClusterListen        string   `env:"ADIT_CLUSTER_LISTEN" default:":7201" placeholder:"ADDR" help:"Address at which other members send messages (${default})."`
	ClusterAdvertise     string   `env:"ADIT_CLUSTER_ADVERTISE" placeholder:"ADDR" help:"Host and port under which they reach that. Default: the machine's name and the port."`
	ClusterDataListen    string   `env:"ADIT_CLUSTER_DATA_LISTEN" default:":7202" placeholder:"ADDR" help:"Address at which other members bring objects and fetch files (${default})."`
	ClusterDataAdvertise string   `env:"ADIT_CLUSTER_DATA_ADVERTISE" placeholder:"ADDR" help:"Host and port under which they reach that. Default: the machine's name and the port."`
	ClusterCA            string   `name:"cluster-ca" env:"ADIT_CLUSTER_CA" type:"path" placeholder:"FILE" help:"PEM file with the certificate of the cluster's CA. Default: DIR/cluster/ca.pem."`
	ClusterCert          string   `env:"ADIT_CLUSTER_CERT" type:"path" placeholder:"FILE" help:"PEM file with this member's certificate. Default: DIR/cluster/member.pem. A new one is used without a restart."`
	ClusterKey           string   `env:"ADIT_CLUSTER_KEY" type:"path" placeholder:"FILE" help:"PEM file with the private key of that certificate. Default: DIR/cluster/member.key."`
}

// Help tells how the server ends.
func (c *serveCmd) Help() string {
	return `SIGTERM or Ctrl-C ends the server in order: nothing new is started, running tasks stop where they can and go on at the next start. A second one ends it at once; nothing is lost by that either. The exit code is 0 after an ordered end, and 1 when a part of the server failed.`
}

// The receiver's address by default, and that of a demo's.
const anyReceiver, demoReceiver = ":11112", "127.0.0.1:11112"

// Run is the server.
func (c *serveCmd) Run(ctx context.Context, io command.Streams) error {
	if runtime.GOOS != "linux" {
		return errors.New("adit serve wants Linux; the other commands work here, with the server elsewhere (--url)")
	}
	defer command.TakeCores(command.ServerCores)()
	cfg := c.config()
	cfg.LogTo, cfg.LogText = io.Err, command.IsTerminal(io.Err)
	cfg.Started = func(r server.Running) { fmt.Fprintln(io.Out, banner(cfg, r)) }
	err := server.Run(ctx, cfg)
	if _, ok := errors.AsType[*server.UsageError](err); ok {
		return &command.Status{Code: command.ExitUsage, Err: err}
	}
	return err
}

// config returns what the flags say. Groups of flags and of the configuration have the same fields, which the compiler
// compares.
func (c *serveCmd) config() server.Config {
	cfg := server.Config{
		DataDir: c.DataDir, SecretKeyFile: c.SecretKeyFile,
		DatabaseURL: c.DatabaseURL, FolderRoots: c.FolderRoots, Demo: c.Demo,
		HTTP: server.HTTPConfig(c.httpFlags), Receiver: server.ReceiverConfig(c.receiverFlags),
		Site:  server.SiteConfig(c.siteFlags),
		Audit: server.AuditConfig(c.auditFlags), Log: server.LogConfig(c.logFlags),
		Cluster: server.ClusterConfig(c.clusterFlags),
		Workers: c.Workers, ExcludedModalities: c.ExcludedModalities,
		ShutdownTimeout: c.ShutdownTimeout, Lease: c.Lease, About: command.About(),
	}
	if c.Demo && c.DataDir == command.DefaultDataDir() {
		cfg.DataDir = command.DemoDataDir()
	}
	if c.Demo && c.DICOMListen == anyReceiver {
		cfg.Receiver.DICOMListen = demoReceiver
	}
	return cfg
}

// banner tells people where the server is and what to do first.
func banner(cfg server.Config, r server.Running) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\nADIT %s is ready", command.Version)
	if r.URL != "" {
		fmt.Fprintf(&out, " at %s", r.URL)
	}
	if cfg.Cluster.Cluster {
		fmt.Fprintf(&out, " as member %s of a cluster: %s", r.Member, strings.Join(r.Roles, ", "))
	}
	if r.DICOMAddr != "" {
		fmt.Fprintf(&out, " (DICOM: %s at %s)", cfg.Receiver.AETitle, r.DICOMAddr)
	}
	fmt.Fprintln(&out, ".")
	if r.WelcomeURL != "" {
		fmt.Fprintf(&out, "\nChoose the administrator's password at %s\nThis works once, within a day; the next start "+
			"gives another address as long as there is no password.\n", r.WelcomeURL)
	}
	if r.Demo != nil && r.Demo.Password != "" {
		fmt.Fprintf(&out, "\nLog in at %s as %s with the password %s\n", r.URL, r.Demo.Username, r.Demo.Password)
	}
	switch {
	case r.Token != "":
		fmt.Fprintf(&out, "\nThe administrator's API token, shown this once:\n  %s\nIt is kept in %s, where the "+
			"commands of this user find it by themselves.\n", r.Token, r.TokenFile)
	case r.TokenFile != "": // the start that made it may have failed before it said so
		fmt.Fprintf(&out,
			"\nThe administrator's API token is kept in %s, where the commands of this user find it by themselves.\n",
			r.TokenFile,
		)
	}
	if r.Demo != nil {
		exports, program := commandPrefix(cfg.DataDir, r.LocalURL)
		fmt.Fprint(&out, demoText(cfg.DataDir, *r.Demo, exports, program))
	}
	return out.String()
}

// commandPrefix returns what to type before commands so that they find this server.
func commandPrefix(dataDir, url string) (exports, program string) {
	if url != "http://127.0.0.1:8080" {
		exports += "  export ADIT_URL=" + url + "\n"
	}
	if dataDir != command.DefaultDataDir() {
		exports += "  export ADIT_DATA_DIR=" + text.ShellWord(dataDir) + "\n"
	}
	return exports, text.ShellWord(os.Args[0])
}

// demoText says what to try.
func demoText(dataDir string, d server.Demo, exports, program string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\nThree demo PACS are running, with studies of phantoms. Try in another terminal:\n\n%s", exports)
	for _, args := range []string{
		"node list",
		"search --source " + d.Source + " --patient-id " + d.PatientID,
		"transfer --source " + d.Source + " --destination " + d.Target + " --study " + d.StudyInstanceUID + " --wait",
		"job list",
		"search --source " + d.Target + " --patient-id " + d.PatientID,
	} {
		fmt.Fprintf(&out, "  %s %s\n", program, args)
	}
	fmt.Fprintf(
		&out, "\nAll of the demo is in %s: stop it and remove that directory, and nothing is left of it.\n", dataDir,
	)
	return out.String()
}
