# How much memory this process may really use, through libmymem and fiddle.
require "fiddle/import"

module Mymem
  extend Fiddle::Importer
  dlload ENV.fetch("LIBMYMEM", "libmymem.so.0")
  typealias "int64_t", "long long"
  typealias "bool", "unsigned char"

  # struct mymem_memory of mymem.h, in bytes.
  Memory = struct [
    "int64_t limit", "int64_t used", "int64_t available", "int64_t headroom", "int64_t high",
    "int64_t swap_used", "int64_t swap_limit", "int64_t host_total", "int64_t host_available",
    "char *limit_from", "char *available_from", "char *rung",
    "bool limited", "bool has_high", "bool swap_limited"
  ]

  extern "void *mymem_open()"
  extern "int mymem_read(void *, void *)"
  extern "char *mymem_error(void *)"
  extern "void mymem_close(void *)"
  extern "int64_t mymem_available()"
end

if $PROGRAM_NAME == __FILE__
  handle = Mymem.mymem_open
  raise NoMemoryError, "mymem_open" if handle.null?
  memory = Mymem::Memory.malloc(Fiddle::RUBY_FREE)
  raise Mymem.mymem_error(handle).to_s if Mymem.mymem_read(handle, memory) < 0
  puts "limit=#{memory.limit}", "limit_from=#{memory.limit_from}"
  puts "limited=#{memory.limited != 0}", "rung=#{memory.rung}"
  puts "host_total=#{memory.host_total}"
  Mymem.mymem_close(handle)
  puts "available=#{Mymem.mymem_available}"
end
