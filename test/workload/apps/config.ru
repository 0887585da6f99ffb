# The shop over Rack.
require "sinatra/base"
require_relative "shop"

class Web < Sinatra::Base
  set :environment, :production
  set :protection, false

  get "/" do
    headers "X-Pid" => Process.pid.to_s
    Shop.work(params["kind"], params["size"].to_i, params["key"].to_i, params["wait"].to_f)
  end
end

run Web
