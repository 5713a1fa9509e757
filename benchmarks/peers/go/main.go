// The Go peer: the three methods as a good team would build them with net/http and bbolt (benchmarks/peers/README.md).
package main

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
)

const largestBody = 16 * 1024

type peer struct {
	callers *callers
	logins  *logins
	log     *os.File
}

type answer struct {
	status      int
	contentType []string
	body        []byte
}

var (
	jsonType    = []string{"application/json"}
	noRequest   = problem(400, "1014", "Forespørgslen er ugyldig.")
	noToken     = problem(401, "1012", "Adgangstoken mangler eller er ugyldigt.")
	noScope     = problem(403, "1013", "Adgangstoken giver ikke det nødvendige scope.")
	noAccess    = problem(403, "4575", "Organisationen har ikke adgang.")
	noCompany   = problem(404, "120500", "Virksomheden findes ikke.")
	unavailable = problem(503, "1100", "Tjenesten er utilgængelig.")
)

func problem(status int, code, text string) answer {
	body := fmt.Sprintf(`{"status":%d,"fejlkode":%q,"fejltekst":%q}`, status, code, text)
	return answer{status, []string{"application/problem+json"}, []byte(body)}
}

func main() {
	// What stays has no pointers, so memory is better spent on fewer collections.
	debug.SetGCPercent(400)
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	callers, err := newCallers(os.Getenv("JWKS"), os.Getenv("ISSUER"), os.Getenv("AUDIENCE"))
	if err != nil {
		return err
	}
	logins, err := openLogins(os.Getenv("STORE"), os.Getenv("COMPANIES"))
	if err != nil {
		return err
	}
	p := &peer{callers: callers, logins: logins}
	if path := os.Getenv("ACCESS_LOG"); path != "" {
		if p.log, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return err
		}
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /v1/Login", p.getLogin)
	routes.HandleFunc("PUT /v1/Login/{cvr}", p.setLogin)
	routes.HandleFunc("GET /v1/Logins", p.getLogins)
	server := http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: routes}
	terminated, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	ended := make(chan error)
	go func() {
		<-terminated.Done()
		ended <- server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

func (p *peer) getLogin(w http.ResponseWriter, request *http.Request) {
	caller, denied := p.callers.identify(request, getLogin)
	cvr, number, valid := asked(request)
	var given answer
	if denied != nil {
		given = *denied
	} else if !valid {
		given = noRequest
	} else if found, known := p.logins.find(number); known {
		body := append(make([]byte, 0, len(oneStart)+len(template)+1), oneStart...)
		given = answer{200, jsonType, append(appendCompany(body, number, found), '}')}
	} else {
		given = noCompany
	}
	p.answer(w, getLogin, cvr, caller, given)
}

func (p *peer) setLogin(w http.ResponseWriter, request *http.Request) {
	caller, denied := p.callers.identify(request, setLogin)
	cvr := request.PathValue("cvr")
	number, valid := parseCvr(cvr)
	given := answer{status: 204}
	if denied != nil {
		given = *denied
	} else if !valid || companyOf(w, request) != cvr {
		given = noRequest
	} else if p.logins.record(number, now()) != nil {
		given = unavailable
	}
	if !valid {
		cvr = ""
	}
	p.answer(w, setLogin, cvr, caller, given)
}

func (p *peer) getLogins(w http.ResponseWriter, request *http.Request) {
	caller, denied := p.callers.identify(request, getLogins)
	if denied != nil {
		p.answer(w, getLogins, "", caller, *denied)
	} else if p.logged(getLogins, "", caller, 200) {
		p.list(w, request)
	} else {
		send(w, &unavailable)
	}
}

// answer sends the answer once its line is written; 503 where it cannot be.
func (p *peer) answer(w http.ResponseWriter, called endpoint, cvr string, c *caller, given answer) {
	if !p.logged(called, cvr, c, given.status) {
		given = unavailable
	}
	send(w, &given)
}

func send(w http.ResponseWriter, given *answer) {
	if given.contentType != nil {
		w.Header()["Content-Type"] = given.contentType
	}
	if given.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(given.status)
	w.Write(given.body)
}

// logged reports whether the call's line is in the access log.
func (p *peer) logged(called endpoint, cvr string, c *caller, status int) bool {
	if p.log == nil {
		return true
	}
	line := append(make([]byte, 0, 160), `{"tid":"`...)
	line = appendTime(line, now())
	line = append(append(append(line, `","metode":"`...), rules[called].name...), `","cvrNummer":`...)
	if cvr == "" {
		line = append(line, "null"...)
	} else {
		line = append(append(append(line, '"'), cvr...), '"')
	}
	line = strconv.AppendInt(append(line, `,"status":`...), int64(status), 10)
	line = append(line, `,"sub":`...)
	if c == nil {
		line = append(line, "null"...)
	} else {
		line = append(line, c.name...)
	}
	_, err := p.log.Write(append(line, "}\n"...))
	return err == nil
}

// asked reads the one company of a query.
func asked(request *http.Request) (cvr string, number uint32, valid bool) {
	given := request.URL.Query()["cvrNummer"]
	if len(given) != 1 {
		return "", 0, false
	}
	if number, valid = parseCvr(given[0]); !valid {
		return "", 0, false
	}
	return given[0], number, true
}

// companyOf reads the number that a body of SetLogin has; empty where it is no such body.
func companyOf(w http.ResponseWriter, request *http.Request) string {
	var body struct {
		Company struct {
			Cvr string `json:"cvrNummer"`
		} `json:"VirksomhedsLoginDto"`
	}
	if json.UnmarshalRead(http.MaxBytesReader(w, request.Body, largestBody), &body) != nil {
		return ""
	}
	return body.Company.Cvr
}
