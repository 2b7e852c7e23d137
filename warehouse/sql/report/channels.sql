-- grain: channel; the fractions of all places on first pages that it gave most to, and that it gave anything to
with
places as (select channels from recommendations where rank <= 10),
named as (
    select unnest(channels) as channel, unnest(range(1, len(channels) + 1)) as position
    from places
)
select
    channel,
    count(*) filter (position = 1) / (select count(*) from places) as first_named,
    count(*) / (select count(*) from places) as named
from named
group by channel
order by first_named desc, named desc, channel;
