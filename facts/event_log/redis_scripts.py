"""The steps of the log in Redis that must be whole: Lua, which the server runs without letting others in between."""

ACCEPTED, DUPLICATE, TAKEN, ANOTHERS = 0, 1, 2, 3  # the verdicts of APPEND

# KEYS: events, where the ids go (waiting or drained), orders, then a customer's index for every event.
# ARGV: which of the two, then for every event its id, time of receipt, content with event, customer, the order that it
# is about and the one that it makes, empty where there is none. Returns a verdict for each.
APPEND = """
local function held(order)
  local said = order ~= '' and redis.call('HGET', KEYS[3], order)
  if not said then return '', nil end
  local colon = string.find(said, ':', 1, true)
  return string.sub(said, 1, colon - 1), string.sub(said, colon + 1)
end
local verdicts = {}
for i = 4, #KEYS do
  local at = 6 * (i - 4) + 2
  local id, received, told = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local customer, order, made = ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  local known = redis.call('HGET', KEYS[1], id)
  local from, owner_of_made = held(made)
  local _, owner = held(order)
  owner = owner or owner_of_made
  if not known and owner and owner ~= customer then
    verdicts[#verdicts + 1] = 3
  elseif not known then
    redis.call('HSET', KEYS[1], id, told)
    if made ~= '' then
      redis.call('HSET', KEYS[3], made, from .. ':' .. customer)
    end
    redis.call('ZADD', KEYS[i], received, id)
    if ARGV[1] == 'waiting' then
      redis.call('XADD', KEYS[2], '*', 'id', id, 'received', received)
    else
      redis.call('ZADD', KEYS[2], received, id)
    end
    verdicts[#verdicts + 1] = 0
  elseif string.sub(known, 1, 32) == string.sub(told, 1, 32) then
    verdicts[#verdicts + 1] = 1
  else
    verdicts[#verdicts + 1] = 2
  end
end
return verdicts
"""

# KEYS: waiting, drained. ARGV: position, how many at most. Returns how many.
MARK = """
local entries = redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', ARGV[2])
for _, entry in ipairs(entries) do
  redis.call('ZADD', KEYS[2], entry[2][4], entry[2][2])
  redis.call('XDEL', KEYS[1], entry[1])
end
return #entries
"""
