# A small shop: what the Ruby servers and workers of these traces do. Most of its
# memory is there before the first request, some comes with the first use, some
# comes and goes (reports), and some never comes back: the heap of Ruby and the
# arenas of malloc keep what lies between things that live long.
require "erb"
require "json"
require "securerandom"

module Shop
  # About 10 MiB of objects, loaded at start.
  CATALOGUE = Array.new(6000) do |i|
    { "id" => i, "name" => "product #{i}", "price" => i * 7 % 9973, "tags" => ["tag #{i % 37}", "tag #{i % 101}"],
      "text" => SecureRandom.hex(300) }
  end
  TEMPLATE = ERB.new(<<~HTML)
    <html><body><h1><%= ERB::Util.h(title) %></h1><%= card %><table>
    <% products.each do |p| %><tr><td><%= p["id"] %></td><td><%= ERB::Util.h(p["name"]) %></td>
    <td><%= format("%.2f", p["price"] / 100.0) %></td><td><%= ERB::Util.h(p["tags"].join(", ")) %></td></tr>
    <% end %></table></body></html>
  HTML
  LOCK = Mutex.new
  CARDS = {}
  SESSIONS = {}

  module_function

  # The cache that fills up: 4 to 20 KiB for each product asked for, 512 at most.
  def card(key)
    LOCK.synchronize do
      CARDS[key] = CARDS.delete(key) || begin
        product = CATALOGUE[key % CATALOGUE.size]
        "#{product["name"]} #{product["text"]} " * (6 + key % 24)
      end
      CARDS.shift if CARDS.size > 512
      CARDS[key]
    end
  end

  def page(size, key)
    title = "#{key} at #{Time.now}"
    card = card(key)
    products = Array.new(size) { |i| CATALOGUE[(key + i * 31) % CATALOGUE.size] }
    TEMPLATE.result(binding)
  end

  def api(size, key)
    require "bigdecimal"
    products = Array.new(size) { |i| CATALOGUE[(key + i) % CATALOGUE.size] }
    parsed = JSON.parse(JSON.generate(products))
    total = parsed.sum { |p| BigDecimal(p["price"]) }
    JSON.generate("total" => total.to_s, "products" => parsed)
  end

  # A session of its own size in the place of an older one.
  def save(size, key)
    require "yaml"
    session = Array.new(1 + size % 16) { SecureRandom.hex(100 + key % 400) }
    LOCK.synchronize { SESSIONS[key % 1500] = session }
    YAML.dump(CATALOGUE.first(size / 4)).bytesize.to_s
  end

  # About size MiB for a moment.
  def report(size, key)
    require "csv"
    rows = Array.new(size * 5000) { |i| [key + i, "row #{i} of #{size}, #{key}", i * 0.37] }
    CSV.generate { |csv| rows.first(2000).each { |row| csv << row } }
  end

  # One request: wait is for a database, in milliseconds.
  def work(kind, size, key, wait)
    sleep(wait / 1000.0)
    return "" if kind == "ping"
    raise ArgumentError, "no kind #{kind}" unless %w[page api save report].include?(kind)

    public_send(kind, size, key)
  end
end
