package main

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const pageSize = 2048 // companies

var compressors = sync.Pool{New: func() any {
	compressor, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return compressor
}}

// list sends the list page by page, as fast as it is read and no faster.
func (p *peer) list(w http.ResponseWriter, request *http.Request) {
	w.Header()["Content-Type"] = jsonType
	w.Header().Set("Vary", "Accept-Encoding")
	if !strings.Contains(request.Header.Get("Accept-Encoding"), "gzip") {
		p.pages(w)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	compressor := compressors.Get().(*gzip.Writer)
	defer compressors.Put(compressor)
	compressor.Reset(w)
	if p.pages(compressor) == nil {
		compressor.Close()
	}
}

func (p *peer) pages(w io.Writer) error {
	companies := make([]company, 0, pageSize)
	text := make([]byte, 0, len(listStart)+pageSize*(len(template)+1)+len("]}"))
	text = append(text, listStart...)
	for from, more := uint32(0), true; more; text = text[:0] {
		companies = p.logins.page(from, companies)
		for at, c := range companies {
			if from > 0 || at > 0 {
				text = append(text, ',')
			}
			text = appendCompany(text, c.cvr, c.span)
		}
		if more = len(companies) == pageSize; more {
			from = companies[pageSize-1].cvr + 1
		} else {
			text = append(text, "]}"...)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}
