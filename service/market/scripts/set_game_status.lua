-- Begins or ends a game. Before it ends, its open pools are closed, so many with each call.
--
-- ARGV  who asks, game, status, how many pools to close
-- Answers {'done'}, {'more'} when pools are left and the call has to be repeated, {'duplicate'}, or {error code}.

local by, game, status, chunk = unpack(ARGV)

local known = redis.call('HGET', KEY_GAMES, game)
if not known then
    return { NO_SUCH_GAME }
end
local now = cjson.decode(known)
if now.status == status then
    return { 'duplicate' }
end
if RANKS[status] < RANKS[now.status] then
    return { CONFLICT }
end
local open = {}
if status == 'finished' then
    for _, pool in ipairs(redis.call('ZRANGE', KEY_GAME .. game .. ':pools', 0, -1)) do
        if redis.call('HGET', KEY_POOL .. pool, 'status') == 'open' then
            open[#open + 1] = pool
            if #open > tonumber(chunk) then
                break
            end
        end
    end
end
local closing = math.min(#open, tonumber(chunk))
if journal_is_full(closing * entries_to_close() + 1) then
    return { JOURNAL_FULL }
end
for index = 1, closing do
    close_pool(game, open[index], by)
end
if #open > closing then
    return { 'more' }
end
set_game(game, now.title, status, by)
return { 'done' }
