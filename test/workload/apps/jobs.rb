# The shop's work as Sidekiq jobs. Each tells who did it in a list of its own.
require "sidekiq"
require_relative "shop"

Sidekiq.configure_server { |config| config.redis = { path: "/run/app/redis" } }

class Work
  include Sidekiq::Worker

  def perform(job, kind, size, key, wait)
    Shop.work(kind, size, key, wait)
    Sidekiq.redis { |done| done.lpush(job, Process.pid) }
  end
end
