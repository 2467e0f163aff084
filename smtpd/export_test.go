package smtpd

// BlocksTaken is how many blocks of memory messages have.
func BlocksTaken(s *Server) int { return s.memory.Used() }
